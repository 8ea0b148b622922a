"""Run one subject: its folder, its limits, its deadline, its logs.

One subject, one process, one empty folder, one deadline. What the subject showed is read from the files in its folder
after it has ended, never from its exit code alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from python_tsan.checking.stacks import PYTHON_FILE, PYTHON_STACKS_VARIABLE, save_group_stacks
from python_tsan.errors import SubjectError
from python_tsan.process import Completed, run
from python_tsan.result.model import Observation, Unparsed
from python_tsan.tsan.blocks import MAX_SAMPLES
from python_tsan.tsan.finding import FatalKind
from python_tsan.tsan.parser import parse_log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LOG_FOLDER = "logs"
LOG_STEM = "tsan"
REPORT_FILE = "report.json"
WAITS_FILE = "waits.txt"
STDOUT_FILE = "stdout.txt"
STDERR_FILE = "stderr.txt"

STACK_KILOBYTES = 64 * 1024
# The runtime re-executes itself and maps terabytes, so that a limit on the address space stops it; deep frames of an
# instrumented interpreter need more than the usual 8 MB of stack. A shell sets both, because code that Python runs
# between fork and exec is not safe when other threads start subjects too. Only soft limits: no rights are needed.
_SET_LIMITS = f"""
ulimit -S -v "$(ulimit -H -v)" 2>/dev/null
ulimit -S -s {STACK_KILOBYTES} 2>/dev/null || ulimit -S -s "$(ulimit -H -s)" 2>/dev/null
exec "$@"
"""
_LIMITS = ("/bin/sh", "-c", _SET_LIMITS, "python-tsan-subject")
# What the runtime prints to standard error when it does not use the log folder.
_ESCAPED = re.compile(r"^(WARNING|FATAL|ERROR): ThreadSanitizer|^ERROR: Can't (open|create)", re.MULTILINE)
_NOT_EXECUTABLE = (126, 127)
_LAST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One process that has ended, and the files it left. ``problem`` says why its logs prove nothing, mostly empty."""

    completed: Completed
    folder: Path
    logs: tuple[Path, ...]
    stacks: tuple[Path, ...]
    problem: str


def execute(
    command: Sequence[str | Path],
    *,
    folder: Path,
    env: Mapping[str, str],
    deadline: float,
    launcher: Sequence[str] = (),
    cwd: Path | None = None,
    until: Callable[[], bool] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> Execution:
    """Run a program whose logs and output go into ``folder``, which must not exist yet; it starts in ``cwd``, or there.

    ``env`` is its whole environment; where the logs go is added here. When ``deadline`` seconds have passed, or once
    ``until`` returns true because the rest of them would show nothing more, the stacks of every thread of every process
    in its group are saved, and the whole group is ended.
    ``launcher`` is the prefix under which instrumented programs run on this machine.

    Raises :class:`SubjectError` when the folder cannot be made or the program cannot be started.
    """
    folder = folder.absolute()
    logs = _make_folders(folder)
    stacks: list[Path] = []
    try:
        completed = run(
            [*_LIMITS, *launcher, *command],
            cwd=cwd or folder,
            env=_with_paths(env, folder, logs),
            timeout=deadline,
            stdout=folder / STDOUT_FILE,
            stderr=folder / STDERR_FILE,
            until=until,
            on_deadline=lambda pid: stacks.extend(save_group_stacks(pid, folder)),
            on_start=on_start,
        )
    except OSError as error:
        raise SubjectError(f"the subject could not be started: {error}", evidence=folder) from error
    return Execution(
        completed=completed,
        folder=folder,
        logs=tuple(sorted(logs.iterdir())) if logs.is_dir() else (),
        stacks=tuple(stacks),
        problem=_problem(completed, folder),
    )


def observe(
    command: Sequence[str | Path],
    *,
    folder: Path,
    env: Mapping[str, str],
    deadline: float,
    launcher: Sequence[str] = (),
    waits: Sequence[str] = (),
) -> Observation:
    """Run a subject in ``folder``, as :func:`execute` does, and return what it showed.

    ``{report}`` in the command stands for the file in which the subject may leave its values. A subject that hangs is
    ended as soon as it has noted itself that its threads stand still, with ``waits`` as the lines of that note.

    Raises :class:`SubjectError` when the folder cannot be made or the program cannot be executed.
    """
    report = folder.absolute() / REPORT_FILE
    argv = [str(part).replace("{report}", str(report)) for part in command]
    until = partial(_has_noted, folder / WAITS_FILE, tuple(waits)) if waits else None
    execution = execute(argv, folder=folder, env=env, deadline=deadline, launcher=launcher, until=until)
    return _read(execution, argv=tuple(argv))


def _make_folders(folder: Path) -> Path:
    logs = folder / LOG_FOLDER
    try:
        # A folder that is already there may hold another run's logs, and those would be counted as this one's.
        folder.mkdir(parents=True)
        logs.mkdir()
    except FileExistsError as error:
        raise SubjectError(
            f"the folder of a subject must be new: {folder}", evidence=folder, advice="choose another --output"
        ) from error
    return logs


def _with_paths(env: Mapping[str, str], folder: Path, logs: Path) -> dict[str, str]:
    # The runtime takes the last of several values of one option, and quotes protect a path with spaces or colons.
    options = f"{env.get('TSAN_OPTIONS', '')} log_path='{logs / LOG_STEM}'".strip()
    return {**env, "TSAN_OPTIONS": options, PYTHON_STACKS_VARIABLE: str(folder / PYTHON_FILE)}


def _read(execution: Execution, *, argv: tuple[str, ...]) -> Observation:
    completed, folder = execution.completed, execution.folder
    parsed = [
        parse_log(path.read_text(encoding="utf-8", errors="replace").splitlines(), str(path)) for path in execution.logs
    ]
    report, report_problem = _read_report(folder / REPORT_FILE)
    return Observation(
        command=argv,
        exit_code=completed.exit_code,
        timed_out=completed.timed_out,
        seconds=completed.seconds,
        max_rss_bytes=completed.max_rss_bytes,
        folder=folder,
        logs=execution.logs,
        stacks=execution.stacks,
        waits=_lines(folder / WAITS_FILE),
        findings=tuple(finding for log in parsed for finding in log.findings),
        fatal=tuple(fatal.message for log in parsed for fatal in log.fatal if fatal.kind is not FatalKind.SIGNAL),
        crashes=tuple(fatal.message for log in parsed for fatal in log.fatal if fatal.kind is FatalKind.SIGNAL),
        last_words=_end(_text(folder / STDERR_FILE)) if completed.exit_code < 0 and not completed.timed_out else "",
        unparsed=Unparsed(
            count=sum(log.unparsed + log.missing for log in parsed),
            samples=tuple(line for log in parsed for line in log.samples)[:MAX_SAMPLES],
        ),
        report=report,
        problem=execution.problem or report_problem,
    )


def _problem(completed: Completed, folder: Path) -> str:
    """Say why the log folder cannot be trusted, or the program did not run at all."""
    if not (folder / LOG_FOLDER).is_dir():
        return "the log folder is gone, so findings cannot be counted"
    stderr = _text(folder / STDERR_FILE)
    escaped = _ESCAPED.search(stderr)
    if escaped:
        line = stderr[escaped.start() :].splitlines()[0]
        return f"the runtime did not write to the log folder, but to standard error: {line}"
    if completed.exit_code in _NOT_EXECUTABLE and not completed.timed_out:
        return f"the subject could not be executed: {_last_line(stderr)}"
    return ""


def _read_report(path: Path) -> tuple[dict[str, Any], str]:
    if not path.is_file():
        return {}, ""
    try:
        report = json.loads(_text(path))
    except ValueError as error:
        return {}, f"the subject's report is not JSON: {error}"
    return (report, "") if isinstance(report, dict) else ({}, "the subject's report is not a JSON object")


def _has_noted(path: Path, waits: tuple[str, ...]) -> bool:
    return _lines(path) == waits


def _lines(path: Path) -> tuple[str, ...]:
    return tuple(_text(path).splitlines())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _end(text: str) -> str:
    return "\n".join(text.splitlines()[-_LAST_LINES:])


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
