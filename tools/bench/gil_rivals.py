"""Measure other ways to learn about the GIL on the same program: the debuggers, and ``gil_load`` from PyPI."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.errors import PythonTsanError
from python_tsan.gil.debugger import GDB, LLDB, DebuggerEngine
from python_tsan.gil.engine_diff import compare
from python_tsan.gil.preload import trace_preloaded
from tools.bench.gil import IMPORT
from tools.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from python_tsan.gil.trace import Trace

GIL_LOAD = "gil_load==0.4.2"
GIL_LOAD_NEEDS = "setuptools"  # it is a source distribution
_SECONDS = 60.0  # gil_load waits for ever where it does not know the Python
_GIL_LOAD = f"""
import gil_load
gil_load.init()
gil_load.start(av_sample_interval=0.0005)
{IMPORT}
gil_load.stop()
print("held", gil_load.get()[0]["held"])
"""
_HELD = re.compile(r"^held ([0-9.]+)$", re.MULTILINE)


def rival_rows(python: Path, *, library: Path, env: Mapping[str, str]) -> Iterator[Row]:
    """Measure ``import numpy`` once under each debugger, held against the tracer, and once under gil_load."""
    command = [str(python), "-c", IMPORT]
    plain = process.run(command, env=env, timeout=_SECONDS).seconds
    trace_preloaded(command, library=library, env=env)  # writes the .pyc files that the runs are to find alike
    ours = trace_preloaded(command, library=library, env=env)
    for engine in (GDB, LLDB):
        yield _debugger_row(engine, command, plain, ours, env)
    yield _gil_load_row(python, plain, env)


def _debugger_row(engine: DebuggerEngine, command: list[str], plain: float, ours: Trace, env: Mapping[str, str]) -> Row:
    what = f"{IMPORT} under {engine.name}"
    if not engine.is_installed(env):
        return Row(what=what, before=f"{plain:.3f} s", measured="not installed")
    started = time.monotonic()
    try:
        theirs = engine.trace(command, env=env)
    except PythonTsanError as error:
        return Row(what=what, before=f"{plain:.3f} s", measured=error.message)
    seconds = time.monotonic() - started
    agreements = compare(ours.processes[0], theirs.processes[0])
    equal, all_ = sum(one.equal for one in agreements), sum(max(one.first, one.second) for one in agreements)
    return Row(
        what=f"{what}: {equal} of {all_} releases as the tracer saw them",
        before=f"{plain:.3f} s",
        measured=f"{seconds:.1f} s",
        cost=f"{seconds / plain:.0f} x wall",
        limit="all equal",
        met=equal == all_,
    )


def _gil_load_row(python: Path, plain: float, env: Mapping[str, str]) -> Row:
    folder = python.parent / "gil_load_bench.py"
    folder.write_text(_GIL_LOAD, encoding="utf-8")
    ended = process.run([python, "-m", "gil_load", folder], env=env, timeout=_SECONDS)
    held = _HELD.search(ended.stdout)
    if not held:
        why = f"no end after {_SECONDS:.0f} s" if ended.timed_out else _last_words(ended.stderr)
        return Row(what=f"{IMPORT} under {GIL_LOAD}", before=f"{plain:.3f} s", measured=why)
    return Row(
        what=f"{IMPORT} under {GIL_LOAD}, which reports that the GIL was held {float(held[1]):.0%} of the time",
        before=f"{plain:.3f} s",
        measured=f"{ended.seconds:.3f} s",
        cost=f"{ended.seconds / plain:.1f} x wall",
    )


def _last_words(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "no output"
