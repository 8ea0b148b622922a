"""The verbs that run checks, ``verify``, ``check-gil`` and ``check-imports``: from the lanes to ``run.json``."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan.checking.lane import blind_spot, installed_version, lane_setup
from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import INTERPRETER, NUMPY, add_settings, count, open_context
from python_tsan.cli.output import add_to_job_summary
from python_tsan.cli.provenance import lane_record, provenance_of
from python_tsan.errors import ExitCode, Interrupted, PythonTsanError, ToolchainError
from python_tsan.expectation import Lane
from python_tsan.paths import checks_folder
from python_tsan.plain_text import counted
from python_tsan.preload_library import LOCK_RECORDER, build_library
from python_tsan.process import keeping
from python_tsan.render.checks import lane_lines, matched
from python_tsan.render.lines import Line
from python_tsan.render.terminal import conclusion_lines
from python_tsan.result.build import result_of_checks
from python_tsan.result.model import LaneRecord, Result
from python_tsan.result.store import RunFolder, open_run, save_run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from python_tsan.cli.options import VerbContext
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.result.model import Verdict

NO_STOCK = "no shared libpython of a supported version was found on this machine"
# Without the GIL, CPython's own locks and atomics order threads, and a stock libpython does not report them.
NO_FREE_THREADING = "a free-threaded build cannot be checked with a stock libpython, which is not instrumented"
_LANES = {"fast": (Lane.FAST,), "full": (Lane.FULL,), "both": (Lane.FAST, Lane.FULL)}
# The files in checks/ of `check-imports`; `check-gil` runs the others.
CANARY_FILE = "test_canary.py"
IMPORT_FILES = ("test_imports.py", "test_numpy.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """The checks that a verb runs. ``files`` are names in ``checks/``, all when empty."""

    lanes: tuple[Lane, ...]
    files: tuple[str, ...] = ()
    keyword: str = ""
    repeat: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of every verb that runs checks."""
    parser.add_argument(
        "--lane",
        choices=_LANES,
        default="both",
        help="fast: stock libpython; full: CPython under ThreadSanitizer (both)",
    )
    add_check_options(parser)
    add_settings(parser, *INTERPRETER, *NUMPY, "binding", "output")
    end_with(parser, f"{parser.prog} --lane full --python 3.13")


def add_check_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that select checks, which ``matrix`` has too."""
    parser.add_argument("-k", dest="keyword", metavar="EXPR", default="", help="run matching checks, as in pytest")
    parser.add_argument(
        "--repeat", type=count, metavar="N", help="run each subject N times (default: as its check says)"
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the checks and return 0, 1 for a failed check, 6 when something could not be judged."""
    request = CheckRequest(
        lanes=_LANES[arguments.lane],
        files=files_of(arguments.verb),
        keyword=arguments.keyword,
        repeat=arguments.repeat,
    )
    return verify(open_context(arguments), request).exit_code


def files_of(verb: str) -> tuple[str, ...]:
    """Return the names in ``checks/`` of a verb that runs a part of them; the canary always runs."""
    if verb == "check-imports":
        return IMPORT_FILES
    if verb != "check-gil":
        return ()
    every = sorted(path.name for path in checks_folder().glob("test_*.py"))
    return tuple(name for name in every if name not in {CANARY_FILE, *IMPORT_FILES})


def verify(context: VerbContext, request: CheckRequest) -> Result:
    """Run the lanes in order, the fast one first; save and show the run, and return it.

    A lane that cannot be built is in the saved run with its reason, and its error is raised as well. Raises
    :class:`Interrupted` after the verdicts so far are saved and shown.
    """
    # Before anything is built; help and completion work without pytest.
    from python_tsan.checking.session import run_checks  # noqa: PLC0415

    folder = open_run(context.settings.output)
    verification = _Verification(context=context, request=request, folder=folder, checks=run_checks)
    try:
        with keeping(verification.interrupted):
            for lane in request.lanes:
                verification.check_lane(lane)
    except Exception as error:
        # The verdicts so far are saved, but not as a whole run.
        verification.finish(unfinished=error.message if isinstance(error, PythonTsanError) else type(error).__name__)
        raise
    return verification.finish()


def save_and_show(run: Result, folder: RunFolder, console: Console) -> None:
    """Save a run of checks, and show its conclusion and its place."""
    saved = save_run(folder, run)
    console.lines(conclusion_lines(run))
    console.say(f"evidence: {saved}")


def show_verdict(verdict: Verdict, console: Console) -> None:
    """Show a verdict as soon as it is there."""
    console.note(f"{verdict.status.value}: {verdict.check} ({matched(verdict)})")


@dataclass(kw_only=True)
class _Verification:
    """A run in progress, and its current lane with the verdicts ``judged`` since it ``began``."""

    context: VerbContext
    request: CheckRequest
    folder: RunFolder
    checks: Callable[..., tuple[Verdict, ...]]
    started: float = field(default_factory=time.monotonic)
    lanes: list[LaneRecord] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    current: LaneRecord | None = None
    judged: list[Verdict] = field(default_factory=list)
    began: float = 0.0
    full_interpreter: Interpreter | None = None

    def check_lane(self, lane: Lane) -> None:
        """Build what the lane needs, run its checks, and show its verdicts at once."""
        pipeline = self.context.pipeline
        if lane is Lane.FAST and self.context.settings.free_threaded:
            self._show(LaneRecord(lane=lane, skipped=NO_FREE_THREADING))
            return
        try:
            if lane is Lane.FULL:
                # First: scenarios of the harness need numpy, and fail only at run time without it.
                pipeline.interpreter_with_numpy  # noqa: B018 -- reading a stage does it
            harness = pipeline.harness if lane is Lane.FULL else pipeline.stock_harness
        except PythonTsanError as error:
            self.lanes.append(LaneRecord(lane=lane, skipped=error.message))
            raise
        if harness is None:
            self._show(LaneRecord(lane=lane, skipped=NO_STOCK))
            return
        if lane is Lane.FULL:
            self.full_interpreter = harness.interpreter
        setup, environment = lane_setup(
            harness,
            toolchain=pipeline.toolchain,
            folder=self.folder.path / lane.value,
            base=os.environ,
            jobs=self.context.settings.jobs,
            repeats=self.request.repeat,
            recorder=self._recorder(),
        )
        self._note(environment.notes)
        record = replace(
            lane_record(
                lane,
                harness.interpreter,
                pipeline.toolchain,
                tsan_options=environment.tsan_options,
                blind_spot=blind_spot(setup),
            ),
            bindings={harness.binding.library.value: harness.binding.version},
            numpy=installed_version(harness.interpreter, "numpy"),
        )
        self.current, self.judged, self.began = record, [], time.monotonic()
        self.judged = list(
            self.checks(setup, files=self.request.files, keyword=self.request.keyword, on_verdict=self._on_verdict)
        )
        self._close_lane()

    def _recorder(self) -> Path | None:
        """Return the lock recorder; None, and a note, without a compiler that can build it."""
        try:
            return build_library(LOCK_RECORDER, layout=self.context.layout, console=self.context.console)
        except ToolchainError as error:
            self._note((f"possible deadlocks are not checked: {error.message}",))
            return None

    def _close_lane(self) -> None:
        """Show the current lane, if there is one, with its verdicts so far."""
        record, self.current = self.current, None
        if record:
            self.verdicts += self.judged
            self._show(replace(record, seconds=time.monotonic() - self.began), tuple(self.judged))

    def interrupted(self) -> Interrupted:
        """Save and show the verdicts so far, and return how to continue."""
        self._close_lane()
        self.finish(unfinished="interrupted")
        return Interrupted(
            f"{counted(len(self.verdicts), 'check')} judged",
            evidence=self.folder.path,
            advice="the same command; builds are kept, checks start again",
        )

    def finish(self, *, unfinished: str = "") -> Result:
        """Save the run with the verdicts so far, and show its conclusion."""
        source = self.full_interpreter.source if self.full_interpreter else None
        run = result_of_checks(
            Result(
                id=self.folder.id,
                provenance=provenance_of(
                    self.folder,
                    launcher=self.context.pipeline.toolchain.launcher if self.lanes and self.lanes[0].toolchain else (),
                    # A build is shared with runs that named no version; a named version replaces none.
                    replaces=source.replaces if source and not self.context.settings.python else "",
                    notes=self.notes,
                    numpy_of=self.full_interpreter,
                ),
                lanes=tuple(self.lanes),
                verdicts=tuple(self.verdicts),
                seconds=time.monotonic() - self.started,
                unfinished=unfinished,
            )
        )
        save_and_show(run, self.folder, self.context.console)
        add_to_job_summary(run)
        return run

    def _on_verdict(self, verdict: Verdict) -> None:
        self.judged.append(verdict)
        show_verdict(verdict, self.context.console)

    def _note(self, notes: tuple[str, ...]) -> None:
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.context.console.warn(note)

    def _show(self, record: LaneRecord, verdicts: tuple[Verdict, ...] = ()) -> None:
        self.lanes.append(record)
        self.context.console.lines([*lane_lines(record, verdicts), Line("")])
