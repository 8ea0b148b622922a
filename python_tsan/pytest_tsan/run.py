"""Run one marked test in a process of its own and judge it."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.execution import STDERR_FILE, STDOUT_FILE
from python_tsan.console import Console
from python_tsan.detect.registry import DETECTORS, RECORDED, detectors, detectors_of
from python_tsan.preload_library import LOCK_RECORDER, build_library
from python_tsan.process import preloading
from python_tsan.pytest_tsan.words import CHILD_VARIABLE, HINT, lacks_runtime
from python_tsan.render.lines import as_text
from python_tsan.render.terminal import render_failure
from python_tsan.result.judge.program import judge_marked_test
from python_tsan.result.model import Status
from python_tsan.running.audit import is_system
from python_tsan.running.companion import obtain_companion
from python_tsan.running.elf import read_elf
from python_tsan.running.expected import WORDS
from python_tsan.running.preflight import Prepared
from python_tsan.running.request import Request
from python_tsan.running.rules import read_rules, with_shipped
from python_tsan.running.session import Session
from python_tsan.storage import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from python_tsan.paths import Layout
    from python_tsan.pytest_tsan.interpreter import MarkedTestPython
    from python_tsan.pytest_tsan.mark import MarkOptions
    from python_tsan.result.model import Result

INSIDE = Path(__file__).parent / "inside"
CHILD_PLUGIN = "tsan_marked_test"
ENDINGS = "endings"
LAST_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One marked test, by its file and name, and how pytest was called. ``output`` is for what it shows."""

    test: str
    options: MarkOptions
    root: Path
    settings_file: Path | None
    import_mode: str
    output: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedOutcome:
    """How a test ended that ran in a process of its own. ``blind`` says what of the project could not be seen."""

    failed: bool = False
    skipped: bool = False
    text: str = ""
    blind: tuple[str, ...] = ()


def run_isolated(call: Call, python: MarkedTestPython, *, layout: Layout) -> IsolatedOutcome:
    """Run a test under ThreadSanitizer and judge it by its own outcome and by what was found.

    Raises :class:`python_tsan.errors.PythonTsanError` when it cannot be run.
    """
    shutil.rmtree(call.output, ignore_errors=True)
    endings = call.output / ENDINGS
    endings.mkdir(parents=True)
    result, folder = _session(call, python, layout).run()
    reported = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(endings.iterdir())]
    ended = _conclude(result, reported, folder, call)
    if not ended.failed:
        shutil.rmtree(call.output, ignore_errors=True)
    return ended


def command(call: Call, python: Path) -> tuple[str, ...]:
    """Return the command that runs the test alone.

    Options that the project's settings add to every run are left out: here they would start workers, measure coverage
    or write over the report of the whole run.
    """
    settings = ("-c", str(call.settings_file)) if call.settings_file else ()
    return (
        *(str(python), "-m", "pytest", call.test, *settings, f"--rootdir={call.root}"),
        # --runxfail: an expected failure is left to the parent. Nothing is kept here that the parent keeps.
        *("-o", "addopts=", "-p", CHILD_PLUGIN, "-p", "no:cacheprovider", "--runxfail", "--import-mode"),
        call.import_mode,
    )


def environment(call: Call, python: MarkedTestPython, base: dict[str, str]) -> dict[str, str]:
    """Return the environment of that command: the caller's, with the plugin within reach and the runtime preloaded."""
    changed = {
        "PYTHONPATH": _joined(str(INSIDE), base.get("PYTHONPATH", "")),
        "PYTEST_ADDOPTS": "",
        CHILD_VARIABLE: str(call.output / ENDINGS),
    }
    if python.preload and "races" in _detectors(call):
        changed |= preloading([python.preload], base)
    return {**base, **changed}


def _joined(*parts: str) -> str:
    return os.pathsep.join(part for part in parts if part)


def _detectors(call: Call) -> tuple[str, ...]:
    return detectors_of([call.options.detect]) or DETECTORS


def _session(call: Call, python: MarkedTestPython, layout: Layout) -> Session:
    line = command(call, python.executable)
    console = Console(out=io.StringIO(), err=io.StringIO(), env={}, quiet=True)
    expect = call.options.expect
    request = Request(
        command=line,
        cwd=str(Path.cwd()),
        timeout=call.options.timeout,
        repeat=call.options.repeat,
        expect=expect if expect in WORDS else str(call.root / expect),
        own=(str(call.root),),
        # Where nothing instrumented was loaded there is no verdict; a Python with a preloaded runtime is like a driver.
        children=True,
        detect=detectors_of([call.options.detect]),
    )
    rules = with_shipped(read_rules(request, today=dt.datetime.now(tz=dt.UTC).date()), python.interpreter)
    companion = obtain_companion(
        interpreter=python.interpreter, compiler=python.toolchain.candidate, layout=layout, console=console
    )
    detect = _detectors(call)
    return Session(
        request=request,
        rules=rules,
        prepared=Prepared(
            command=line,
            program=None if python.preload else read_elf(python.executable.resolve()),
            detect=detect,
            unjudged=() if "races" in detect else (f"Races were not judged: detect={call.options.detect!r}.",),
        ),
        toolchain=python.toolchain,
        companion=companion,
        recorder=build_library(LOCK_RECORDER, layout=layout, console=console) if RECORDED & {*detect} else None,
        output=call.output,
        env=environment(call, python, dict(os.environ)),
        console=console,
    )


def _conclude(result: Result, endings: Sequence[Mapping[str, str]], folder: Path, call: Call) -> IsolatedOutcome:
    """Judge a test; ``endings`` are what pytest reported of it in each run."""
    failed = [ending["text"] for ending in endings if ending["outcome"] == "failed"]
    skipped = [ending["text"] for ending in endings if ending["outcome"] == "skipped"]
    status, reason = judge_marked_test(result.verdict, found=result.findings, failed=failed, skipped=skipped)
    if status is Status.SKIPPED:
        return IsolatedOutcome(skipped=True, text=reason)
    if status is Status.PASSED:
        return IsolatedOutcome(blind=(*_blind(result, call.root), *_gaps(call, folder)))
    parts = [reason]
    if result.subject and not endings and not result.subject.timed_out:
        parts = [f"The process of this test {_end(result)}.", _last_words(folder), *parts]
    if result.findings or not failed:
        parts.append(as_text(render_failure(result)).rstrip("\n"))
    if any(map(lacks_runtime, failed)):
        parts.append(HINT)
    return IsolatedOutcome(failed=True, text="\n\n".join([*parts, f"all files: {folder}"]))


def _end(result: Result) -> str:
    code = result.subject.exit_codes[-1] if result.subject and result.subject.exit_codes else 0
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit {code} before the test could end"


def _last_words(folder: Path) -> str:
    """Return the end of what a run printed that left no word on how its test ended."""
    text = "".join(text_of(folder / "1" / name) for name in (STDOUT_FILE, STDERR_FILE))
    return "\n".join(text.splitlines()[-LAST_LINES:])


def _gaps(call: Call, folder: Path) -> Iterator[str]:
    """Yield what the recorder could not follow; where nothing else is detected, that is a doubt already."""
    folders = [folder / str(number) for number in range(1, call.options.repeat + 1)]
    for detector in detectors(name for name in _detectors(call) if name in RECORDED):
        yield from detector.gaps(folders, alone=False)


def _blind(result: Result, root: Path) -> Iterator[str]:
    for each in result.audit or ():
        path = Path(each.path)
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        if each.instrumented is False and path.is_relative_to(root) and not installed and not is_system(each.path):
            yield f"{path.relative_to(root)} is not instrumented: accesses inside it were not seen"
