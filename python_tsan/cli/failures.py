"""Catch every error, print it on standard error, and map it to an exit code; the other modules raise."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.console import folded
from python_tsan.errors import ExitCode, Interrupted, PythonTsanError, SubjectError
from python_tsan.plain_text import harmless
from python_tsan.storage import storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import TextIO

# A second interrupt within this time counts as the same one. Children end within two seconds.
AGAIN_SECONDS = 5.0
LONGEST_MESSAGE = 3000


# What a shell shows for a process that SIGPIPE ended.
READER_GONE = 128 + signal.SIGPIPE


def as_exit_code(action: Callable[[], ExitCode], *, last: bool = False) -> int:
    """Run ``action`` and return the exit code of the process; only ``SystemExit`` passes through.

    An unexpected exception gives 6, not Python's own 1, which means findings. ``last`` says that the process ends with
    that code. When the reader of its output is gone, it ends as others do, by SIGPIPE.
    """
    if last:
        _open_closed_streams()
    with _termination_as_interrupt(last=last):
        code = _as_exit_code(action)
    if last and code == READER_GONE:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    if last:
        gc.freeze()  # Python's end would look through all objects for cycles
    return code


def _open_closed_streams() -> None:
    """Connect standard streams that the caller closed to the null device, so that no other file takes their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _as_exit_code(action: Callable[[], ExitCode]) -> int:
    try:
        return int(_flushed(action))
    except PythonTsanError as error:
        _show(error)
        return int(error.exit_code)
    except Interrupted as interrupted:
        fields = (("evidence", interrupted.evidence), ("to go on", interrupted.advice))
        _print_fields(f"interrupted: {interrupted.message}", *fields)
        return int(ExitCode.INTERRUPTED)
    except KeyboardInterrupt:
        _print("python-tsan: interrupted; finished stages are kept, the current stage will restart")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError as error:
        if _drop_unread_output():
            return READER_GONE
        shown = _unexpected(error)
    except OSError as error:
        _drop_unwritable_output()
        shown = storage_error(error) or _unexpected(error)
    except ModuleNotFoundError as error:
        shown = _explain_missing(error) or _unexpected(error)
    except Exception as error:  # noqa: BLE001 -- the one place that catches everything
        shown = _unexpected(error)
    _show(shown)
    return int(shown.exit_code)


def _flushed(action: Callable[[], ExitCode]) -> ExitCode:
    try:
        code = action()
    except SystemExit:
        _flush()
        raise
    _flush()
    return code


def _flush() -> None:
    if sys.stdout:
        sys.stdout.flush()


def _drop_unwritable_output() -> None:
    """Lead a standard output that cannot be written to the null device: Python would fail to flush it at exit."""
    try:
        _flush()
    except OSError:
        _to_null_device(sys.stdout)


def _to_null_device(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _drop_unread_output() -> bool:
    """Return whether nobody reads a standard stream any more; it then leads to the null device.

    Python flushes it once more at exit, which must not fail.
    """
    gone = False
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):  # a replaced stream may have no descriptor
            poller = select.poll()
            poller.register(stream, select.POLLOUT)
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0)):
                _to_null_device(stream)
                gone = True
    return gone


@contextlib.contextmanager
def _termination_as_interrupt(*, last: bool) -> Iterator[None]:
    """Handle SIGTERM and SIGHUP as Ctrl-C, so that no child outlives the run, and ignore a second signal soon after.

    Users press Ctrl-C twice; a second interrupt while the first one is handled would lose results. ``last`` says that
    the process ends next: then no signal changes its exit code.
    """
    taken = [-math.inf]

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - taken[-1] >= AGAIN_SECONDS:
            taken.append(now)
            raise KeyboardInterrupt

    before = {}
    # In another thread than the main one, the calling program owns its signals.
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # a shell ignores it in background jobs
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if last and len(taken) > 1 else handler)


def _explain_missing(error: ModuleNotFoundError) -> PythonTsanError | None:
    """Return the error for a missing package of another project, None for one of this project."""
    package = (error.name or "python_tsan").partition(".")[0]
    if package == "python_tsan":
        return None
    return SubjectError(
        f"the package {package} is not installed for {sys.executable}",
        advice="install python-tsan with its dependencies: python -m pip install 'python-tsan[verify]'",
        page="extra",
    )


def _unexpected(error: Exception) -> PythonTsanError:
    import tempfile  # noqa: PLC0415 -- brings much with it, for errors inside only
    import traceback  # noqa: PLC0415 -- so too

    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="python-tsan-", suffix=".traceback.txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
    except OSError:
        _print(text)
        evidence = None
    else:
        evidence = Path(file.name)
    return SubjectError(
        f"an error inside python-tsan: {type(error).__name__}: {error}",
        evidence=evidence,
        advice="report it with the traceback",
        page="internal",
    )


def _show(error: PythonTsanError) -> None:
    half = LONGEST_MESSAGE // 2
    short = error.message
    if len(short) > LONGEST_MESSAGE:  # it may quote a line of any file
        short = f"{short[:half]} ... {short[-half:]}"
    page = ("read more", f"docs/errors.md#{error.page}")
    _print_fields(f"error: {short}", ("evidence", error.evidence), ("what to do", error.advice), page)


def _print_fields(heading: str, *fields: tuple[str, object]) -> None:
    lines = (f"  {f'{name}:':<12}{value}" for name, value in fields if value)
    _print("\n".join((f"python-tsan: {heading}", *lines)))


def _print(text: str) -> None:
    with contextlib.suppress(OSError):  # a closed standard error must not change the exit code
        print(harmless(folded(text, sys.stderr, os.environ)), file=sys.stderr, flush=True)  # noqa: T201 -- no console can be assumed to exist here
