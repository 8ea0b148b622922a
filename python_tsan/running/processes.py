"""Judge by their start records whether the processes of a run were watched as the verdict assumes. Pure."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from python_tsan.plain_text import counted, some_of
from python_tsan.tsan.options import parse_options

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from python_tsan.running.companion import HookOutput, ProcessStart

MAX_NAMED = 3
# The options that decide which findings are made and where they are written, with the runtime's own defaults
# (tsan_flags.inc, sanitizer_flags.inc). Others only change how a finding is shown.
DECISIVE = {
    "report_bugs": "1",
    "exitcode": "66",
    "halt_on_error": "0",
    "suppressions": "",
    "include": "",
    "include_if_exists": "",
    "detect_deadlocks": "1",
    "report_thread_leaks": "1",
    "report_destroy_locked": "1",
    "report_mutex_bugs": "1",
    "report_signal_unsafe": "1",
    "report_atomic_races": "1",
    "force_seq_cst_atomics": "0",
    "ignore_interceptors_accesses": "0",
    "ignore_noninstrumented_modules": "0",
}
# Of these, those whose change is judged otherwise, or that lose no finding when the caller changes them.
_HARMLESS = ("report_bugs", "exitcode", "halt_on_error", "suppressions", "include", "include_if_exists")
# One spelling for each truth value that the runtime reads (sanitizer_flag_parser.h).
_SPELLINGS = {"true": "1", "yes": "1", "false": "0", "no": "0"}


def changed_options(hooks: HookOutput, *, options: str, logs: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each process whose options are not the ones of the run.

    ``options`` is the run's ``TSAN_OPTIONS`` without the log path, ``logs`` are the log paths that the run has set.
    """
    ours = parse_options(options).values
    alike: dict[str, list[ProcessStart]] = {}
    for start in hooks.starts:
        theirs = parse_options(start.options).values
        parts = []
        path = start.log or theirs.get("log_path", "")
        if path not in logs:
            parts.append(f"logged elsewhere: {f'log_path={path}' if path else 'no log_path, so to standard error'}")
        changed = [
            f"{name}={theirs.get(name, '')}"
            for name, default in DECISIVE.items()
            if _plain(theirs.get(name, default)) != _plain(ours.get(name, default))
        ]
        if changed:
            parts.append(f"had other TSAN_OPTIONS: {' '.join(changed)}")
        if parts:
            alike.setdefault(", and ".join(parts), []).append(start)
    for words, starts in alike.items():
        yield f"{_first_of(starts)} {words}"


def included_options(options: str) -> Iterator[str]:
    """Yield a sentence for each file from which the runtime took options: they come after all others.

    ``options`` is the run's ``TSAN_OPTIONS``, where the caller's own have won.
    """
    values = parse_options(options).values
    for name in ("include", "include_if_exists"):
        if values.get(name):
            yield f"your TSAN_OPTIONS have {name}={values[name]}, and what that file sets is not known"


def weakening_options(options: str) -> Iterator[str]:
    """Yield a sentence for each of the caller's options that keeps the runtime from some findings."""
    values = parse_options(options).values
    for name, default in DECISIVE.items():
        if name not in _HARMLESS and _plain(values.get(name, default)) != default:
            yield f"Your TSAN_OPTIONS have {name}={values[name]}: what that leaves out was not judged."


def restored_logs(hooks: HookOutput) -> Iterator[str]:
    """Yield a sentence for the processes that log to the run because the companion let them."""
    alike: dict[str, list[ProcessStart]] = {}
    for start in hooks.starts:
        path = parse_options(start.options).values.get("log_path", "")
        if start.log and path != start.log:
            alike.setdefault(f"log_path={path}" if path else "no log_path", []).append(start)
    for words, starts in alike.items():
        yield f"{_first_of(starts)} had {words} in TSAN_OPTIONS: the log was kept in the folder of this run"


def without_end(hooks: HookOutput, leaders: Collection[int]) -> Iterator[str]:
    """Yield a sentence if processes left no record of their end; those of ``leaders`` are judged by their exit codes.

    A signal ended them, or they called ``_exit``, where the runtime does report but no destructor runs.
    """
    ended = {process.pid for process in hooks.processes} | set(leaders)
    left = {start.pid: start for start in hooks.starts if start.pid not in ended}
    if left:
        names = some_of([_named(start) for start in left.values()], MAX_NAMED)
        yield f"{names} left no record of an orderly end: killed, or ended by _exit."


def _first_of(starts: Sequence[ProcessStart]) -> str:
    others = f" and {counted(len(starts) - 1, 'other process')}" if len(starts) > 1 else ""
    return f"{_named(starts[0])}{others}"


def _named(start: ProcessStart) -> str:
    return f"process {start.pid} ({PurePath(start.program).name})"


def _plain(value: str) -> str:
    return _SPELLINGS.get(value, value)
