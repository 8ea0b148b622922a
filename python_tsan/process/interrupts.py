"""Hold back interrupts while a child is started and while finished results are saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from python_tsan.errors import Interrupted

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def hold_interrupts() -> Iterator[Callable[[], None]]:
    """Hold back interrupts of this thread until the yielded function is called, or until the end.

    A child runs before ``Popen`` has returned: an interrupt in between would leave a child that is not tracked.
    """
    came: list[int] = []
    held: dict[int, Callable[[int, FrameType | None], object]] = {}

    def release() -> None:
        answers = dict(held)
        held.clear()
        for number, handler in answers.items():
            signal.signal(number, handler)
        while came:
            number = came.pop(0)
            answers[number](number, None)

    if threading.current_thread() is threading.main_thread():
        for number in _INTERRUPTS:
            handler = signal.getsignal(number)
            if callable(handler):
                held[number] = handler
                signal.signal(number, lambda number, _: came.append(number))
    try:
        yield release
    finally:
        release()


@contextlib.contextmanager
def keeping(keep: Callable[[], Interrupted]) -> Iterator[None]:
    """On an interrupt, let ``keep`` show and save the finished results, and raise what it returns.

    Nothing disturbs ``keep``: users press Ctrl-C twice, and CI sends SIGTERM some seconds after SIGINT.
    Work that takes minutes and has intermediate results runs in this context.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, lambda *_: None) for number in _INTERRUPTS}
        try:
            kept = keep()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        raise kept from interrupt
