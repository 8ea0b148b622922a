"""Own the moment between the start of a child and the one who keeps it, in which no interrupt may come."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def hold_interrupts() -> Iterator[Callable[[], None]]:
    """Hold back what would interrupt this thread until the yielded function is called, or until the end.

    A child runs before ``Popen`` has returned: an interrupt that came in between would leave one that nobody knows.
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
