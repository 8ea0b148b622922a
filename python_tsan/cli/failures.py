"""Own how a failure is told: one message on standard error and one exit code; leave raising to everyone else."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import ExitCode, Interrupted, PythonTsanError, SubjectError
from python_tsan.plain_text import harmless
from python_tsan.storage import storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

# For so long after an interrupt another one is taken for the same. Children are ended within two seconds.
AGAIN_SECONDS = 5.0


def as_exit_code(action: Callable[[], ExitCode], *, last: bool = False) -> int:
    """Do ``action`` and return the process's exit code, whatever happens; ``SystemExit`` passes through.

    An exception that nobody foresaw gives 6, not Python's own 1: 1 is kept for findings. ``last`` says that the process
    ends with that code.
    """
    with _termination_as_interrupt(last=last):
        return _as_exit_code(action)


def _as_exit_code(action: Callable[[], ExitCode]) -> int:
    try:
        code = action()
        if sys.stdout:
            sys.stdout.flush()
        return int(code)
    except PythonTsanError as error:
        _tell(error)
        return int(error.exit_code)
    except Interrupted as interrupted:
        _tell_kept(interrupted)
        return int(ExitCode.INTERRUPTED)
    except KeyboardInterrupt:
        _print("python-tsan: interrupted; finished stages are kept, the current stage will restart")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone. Python flushes standard output once more at exit, and must find it writable.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.SUBJECT)
    except OSError as error:
        told = storage_error(error) or _unforeseen(error)
    except ModuleNotFoundError as error:
        told = _explain_missing(error) or _unforeseen(error)
    except Exception as error:  # noqa: BLE001 -- the one place where nothing may get past
        told = _unforeseen(error)
    _tell(told)
    return int(told.exit_code)


@contextlib.contextmanager
def _termination_as_interrupt(*, last: bool) -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the run as Ctrl-C does, so that no child outlives it, and each of them end it once.

    The impatient press Ctrl-C twice, and a second interrupt amid the answer to the first would lose what that keeps.
    ``last`` says that the process ends next: then none takes its exit code away.
    """
    taken = [-math.inf]

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - taken[-1] >= AGAIN_SECONDS:
            taken.append(now)
            raise KeyboardInterrupt

    before = {}
    # Not in another thread than the main one: the program that called us owns its signals.
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as of what a shell starts in the background
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if last and len(taken) > 1 else handler)


def _explain_missing(error: ModuleNotFoundError) -> PythonTsanError | None:
    """Return what a person can act on when a package is missing that is not this one, else None."""
    package = (error.name or "python_tsan").partition(".")[0]
    if package == "python_tsan":
        return None
    return SubjectError(
        f"the package {package} is not installed for {sys.executable}",
        advice="install python-tsan with what it needs: python -m pip install 'python-tsan[verify]'",
        page="extra",
    )


def _unforeseen(error: Exception) -> PythonTsanError:
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
        advice="please report it with the traceback",
        page="internal",
    )


def _tell(error: PythonTsanError) -> None:
    lines = [f"python-tsan: error: {error.message}"]
    if error.evidence is not None:
        lines.append(f"  evidence:   {error.evidence}")
    if error.advice:
        lines.append(f"  what to do: {error.advice}")
    lines.append(f"  read more:  docs/errors.md#{error.page}")
    _print("\n".join(lines))


def _tell_kept(interrupted: Interrupted) -> None:
    lines = [f"python-tsan: interrupted: {interrupted.message}"]
    if interrupted.evidence is not None:
        lines.append(f"  evidence:   {interrupted.evidence}")
    _print("\n".join((*lines, f"  to go on:   {interrupted.advice}")))


def _print(text: str) -> None:
    with contextlib.suppress(OSError):  # a closed standard error must not change the exit code
        print(harmless(text), file=sys.stderr, flush=True)  # noqa: T201 -- no console can be assumed to exist here
