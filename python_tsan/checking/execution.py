"""Run one subject: its folder, its limits, its deadline, its logs.

One subject, one process, one empty folder, one deadline. What the subject showed is read from the files in its folder
after it has ended, never from its exit code alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from python_tsan.checking.stacks import PYTHON_FILE, PYTHON_STACKS_VARIABLE, describe_group_hang, save_stacks
from python_tsan.detect import locks, races
from python_tsan.detect.registry import detectors
from python_tsan.errors import SubjectError
from python_tsan.plain_text import last_line
from python_tsan.process import Completed, interrupt_group, run
from python_tsan.result.hang import Hang
from python_tsan.result.model import Observation, Unparsed
from python_tsan.storage import text_of
from python_tsan.tsan.finding import FatalKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from python_tsan.tsan.finding import Fatal

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
_NOT_EXECUTABLE = (126, 127)
_LAST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One process that has ended, and the files it left. ``problem`` says why its logs prove nothing, mostly empty.

    ``hang`` is what the threads did that did not end in time.
    """

    completed: Completed
    folder: Path
    logs: tuple[Path, ...]
    stacks: tuple[Path, ...]
    problem: str
    hang: Hang = field(default_factory=Hang)

    def observed(self, fatal: Iterable[Fatal], **others: Any) -> Observation:  # noqa: ANN401 -- an observation's fields
        """Return what the process shows, with the runtime's last messages and the ``others`` of its fields."""
        messages = tuple(fatal)
        return Observation(
            exit_code=self.completed.exit_code,
            timed_out=self.completed.timed_out,
            seconds=self.completed.seconds,
            max_rss_bytes=self.completed.max_rss_bytes,
            folder=self.folder,
            logs=self.logs,
            stacks=self.stacks,
            fatal=tuple(each.message for each in messages if each.kind is not FatalKind.SIGNAL),
            crashes=tuple(each.message for each in messages if each.kind is FatalKind.SIGNAL),
            **others,
        )


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
    on_end: Callable[[], None] | None = None,
    on_deadline: Callable[[int], None] | None = None,
    describe_hang: bool = False,
    interrupt: bool = False,
) -> Execution:
    """Run a program whose logs and output go into ``folder``, which must not exist yet; it starts in ``cwd``, or there.

    ``env`` is its whole environment; where the logs go is added here. When ``deadline`` seconds have passed, or once
    ``until`` returns true because the rest of them would show nothing more, the stacks of every thread of every process
    in its group are saved, and the whole group is ended.
    ``on_start`` is called with its pid, ``on_end`` when it has ended by itself; what its group still runs ends then.
    ``on_deadline`` is called before the stacks are saved; with ``describe_hang``, what each thread waits for is read
    afterwards. With ``interrupt``, the group then gets SIGINT, so that a test runner prints what it has.
    ``launcher`` is the prefix under which instrumented programs run on this machine.

    Raises :class:`SubjectError` when the folder cannot be made or the program cannot be started.
    """
    folder = folder.absolute()
    variables = _prepare(folder, env)
    stacks: list[Path] = []
    hang = Hang()

    def at_deadline(pid: int) -> None:
        nonlocal hang
        if on_deadline:
            on_deadline(pid)
        stacks.extend(save_stacks(pid, folder))
        if describe_hang:
            hang = describe_group_hang(pid, folder)
        if interrupt:
            interrupt_group(pid)

    try:
        completed = run(
            [*_LIMITS, *launcher, *command],
            cwd=cwd or folder,
            env=variables,
            timeout=deadline,
            stdout=folder / STDOUT_FILE,
            stderr=folder / STDERR_FILE,
            until=until,
            on_deadline=at_deadline,
            on_start=on_start,
            on_end=on_end,
        )
    except OSError as error:
        raise SubjectError(f"the subject could not be started: {error}", evidence=folder) from error
    return Execution(
        completed=completed,
        folder=folder,
        logs=races.files(folder),
        stacks=tuple(stacks),
        hang=hang,
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
    recorded: bool = False,
) -> Observation:
    """Run a subject in ``folder``, as :func:`execute` does, and return what it showed.

    ``{report}`` in the command stands for the file in which the subject may leave its values. A subject that hangs is
    ended as soon as it has noted itself that its threads stand still, with ``waits`` as the lines of that note. Of one
    whose locks are ``recorded``, what the recorder could not see is a problem.

    Raises :class:`SubjectError` when the folder cannot be made or the program cannot be executed.
    """
    report = folder.absolute() / REPORT_FILE
    argv = [str(part).replace("{report}", str(report)) for part in command]
    until = (lambda: _lines(folder / WAITS_FILE) == tuple(waits)) if waits else None
    execution = execute(argv, folder=folder, env=env, deadline=deadline, launcher=launcher, until=until)
    gap = next(locks.gaps([folder], alone=True), "") if recorded else ""
    return _read(execution, argv=tuple(argv), gap=gap)


def _prepare(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Make the folder of a process, and return its environment with what every detector needs."""
    variables = {**env, PYTHON_STACKS_VARIABLE: str(folder / PYTHON_FILE)}
    try:
        # A folder that is already there may hold another run's logs, and those would be counted as this one's.
        folder.mkdir(parents=True)
        for detector in detectors():
            variables |= detector.prepare(folder, variables)
    except FileExistsError as error:
        raise SubjectError(
            f"the folder of a subject must be new: {folder}", evidence=folder, advice="choose another --output"
        ) from error
    return variables


def _read(execution: Execution, *, argv: tuple[str, ...], gap: str) -> Observation:
    completed, folder = execution.completed, execution.folder
    found = [detector.read(detector.files(folder)) for detector in detectors()]
    report, report_problem = _read_report(folder / REPORT_FILE)
    return execution.observed(
        (each for one in found for each in one.fatal),
        command=argv,
        waits=_lines(folder / WAITS_FILE),
        findings=tuple(finding for one in found for finding in one.findings),
        last_words="\n".join(text_of(folder / STDERR_FILE).splitlines()[-_LAST_LINES:])
        if completed.exit_code < 0 and not completed.timed_out
        else "",
        unparsed=Unparsed(
            count=sum(one.unparsed.count for one in found),
            samples=tuple(line for one in found for line in one.unparsed.samples),
        ),
        report=report,
        problem=execution.problem or report_problem or gap,
    )


def _problem(completed: Completed, folder: Path) -> str:
    """Return why the evidence cannot be trusted, or why the program did not run at all."""
    stderr = text_of(folder / STDERR_FILE)
    if problem := next(filter(None, (detector.problem(folder, stderr) for detector in detectors())), ""):
        return problem
    if completed.exit_code >= 0 and not completed.timed_out and (cut := races.cut_log(folder)):
        return cut
    if completed.exit_code in _NOT_EXECUTABLE and not completed.timed_out:
        return f"the subject could not be executed: {last_line(stderr) or 'no message'}"
    return ""


def _read_report(path: Path) -> tuple[dict[str, Any], str]:
    if not path.is_file():
        return {}, ""
    try:
        report = json.loads(text_of(path))
    except ValueError as error:
        return {}, f"the subject's report is not JSON: {error}"
    return (report, "") if isinstance(report, dict) else ({}, "the subject's report is not a JSON object")


def _lines(path: Path) -> tuple[str, ...]:
    return tuple(text_of(path).splitlines())
