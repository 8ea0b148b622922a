"""Detect possible deadlocks: the recordings of the preloaded lock recorder, and the cycles in them."""

from __future__ import annotations

import linecache
import mmap
import os
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.collector import paused
from python_tsan.detect.registry import Evidence
from python_tsan.locks.cycles import find_cycles
from python_tsan.locks.findings import deadlock_findings
from python_tsan.locks.live import cycle_of, explain_hang
from python_tsan.locks.model import GilSight, LockTrace
from python_tsan.locks.naming import Lookup
from python_tsan.locks.trace import LIBRARY, read_trace
from python_tsan.locks.waits import gil_waits
from python_tsan.plain_text import counted
from python_tsan.process import preloading
from python_tsan.result.hang import together
from python_tsan.result.model import Unparsed
from python_tsan.storage import open_regular, read_regular
from python_tsan.symbols import symbolise, thread_variable_names, variable_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from python_tsan.detect.reading import Reading
    from python_tsan.result.hang import Hang
    from python_tsan.result.model import GilWait
    from python_tsan.tsan.finding import Finding

FOLDER = "locks"
FOLDER_VARIABLE = "PYTHON_TSAN_LOCKS"
# What is preloaded into the program alone, after all else: a shared runtime of the sanitizer has to come before the
# recorder, and would not start in every program that this one starts.
PRELOAD_VARIABLE = "PYTHON_TSAN_LOCKS_PRELOAD"
SUFFIX = ".locks"
_NOTES = "processes"
_MOST_NOTES = 16 << 20
# 4711	problem	error 27
_PROBLEM = re.compile(r"(?P<pid>\d{1,9})\tproblem\terror (?P<error>\d{1,4})")
LOOKUP = Lookup(
    functions=symbolise,
    variables=variable_names,
    thread_variables=thread_variable_names,
    line=linecache.getline,
)


class Recording(Struct, frozen=True, kw_only=True):
    """What one process recorded and what follows. ``complete``: all cycles were searched for."""

    trace: LockTrace
    findings: tuple[Finding, ...]
    complete: bool


def prepare(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Make the folder of the recordings and return the variable that names it; nothing without the recorder."""
    if not any(LIBRARY in env.get(name, "") for name in ("LD_PRELOAD", PRELOAD_VARIABLE)):
        return {}
    (folder / FOLDER).mkdir()
    return {FOLDER_VARIABLE: str(folder / FOLDER)}


def preload(recorder: Path, runtime: str, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that preload the recorder; ``runtime`` is the sanitizer's if that is a shared library."""
    if runtime:
        return {PRELOAD_VARIABLE: os.pathsep.join([runtime, str(recorder)])}
    return preloading([recorder], env)


def launcher_of(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the prefix of a command that preloads what its program alone gets, after all that is preloaded anyway."""
    last = variables.get(PRELOAD_VARIABLE, "")
    if not last:
        return ()
    return ("/usr/bin/env", "LD_PRELOAD=" + os.pathsep.join(filter(None, [variables.get("LD_PRELOAD", ""), last])))


def files(folder: Path) -> tuple[Path, ...]:
    """Return the recordings, one for each process that used a lock or a thread."""
    return tuple(sorted((folder / FOLDER).glob(f"*{SUFFIX}")))


def problem(folder: Path, stderr: str) -> str:  # noqa: ARG001 -- the protocol's signature
    """Return an empty string: what a recording lacks is no reason to distrust other detectors, see :func:`gaps`."""
    return ""


def read(files: Sequence[Path]) -> Evidence:
    """Return the possible deadlocks of all recordings."""
    return Evidence(findings=tuple(each for one in recordings(files) for each in one.findings), unparsed=Unparsed())


def digest(files: Sequence[Path], reading: Reading) -> None:
    """Add the possible deadlocks of all recordings to ``reading``."""
    for one in recordings(files):
        for finding in one.findings:
            reading.digest.add_finding(finding)


def recordings(files: Iterable[Path]) -> Iterator[Recording]:
    """Yield what can be read of each file, in order."""
    for path in files:
        if (found := _analyse(path, _changed(path))) is not None:
            yield found


def hang(folder: Path) -> Hang:
    """Return who holds and who waits for what now; empty if no lock explains a hang. The processes may still run."""
    return together(explain_hang(trace, LOOKUP) for _, trace in now(folder))


def cycles(folder: Path) -> frozenset[tuple[str, tuple[tuple[int, int], ...]]]:
    """Return the threads that wait for each other now, each cycle with the recording's name."""
    return frozenset((path.name, cycle) for path, trace in now(folder) if (cycle := cycle_of(trace)))


def now(folder: Path) -> Iterator[tuple[Path, LockTrace]]:
    """Yield what each process has recorded so far, which may still run."""
    for path in files(folder):
        if (trace := _read(path)) is not None:
            yield path, trace


def waits(folder: Path) -> tuple[GilWait, ...]:
    """Return the waits that were made with the GIL held."""
    return tuple(wait for one in recordings(files(folder)) for wait in gil_waits(one.trace, LOOKUP))


def traces(files: Iterable[Path]) -> Iterator[tuple[Path, LockTrace]]:
    """Yield each file that can be read, with what was recorded in it."""
    for path in files:
        if (trace := _trace(path, _changed(path))) is not None:
            yield path, trace


def _changed(path: Path) -> int:
    return path.lstat().st_mtime_ns


def judged_processes(folders: Iterable[Path]) -> frozenset[int]:
    """Return the processes of which each cycle of locks that can close is a finding; readers close none in them."""
    recorded = [one for folder in folders for one in recordings(files(folder))]
    return frozenset(one.trace.pid for one in recorded if one.complete and not one.trace.not_seen)


def gaps(folders: Iterable[Path], *, alone: bool) -> Iterator[str]:
    """Yield why possible deadlocks of some processes could not be judged, each reason once."""
    seen = Counter[str]()
    for folder in folders:
        recorded, lost = list(recordings(files(folder))), list(unrecorded(folder))
        seen.update(lost)
        if alone and not recorded and not lost:
            seen["No lock, thread or Python was seen, so possible deadlocks were not judged."] += 1
        for one in recorded:
            seen.update(_gaps(one))
    yield from seen


def unrecorded(folder: Path) -> Iterator[str]:
    """Yield a sentence for each process that could not be recorded, and for each recording that cannot be read."""
    what = "so its locks and its calls of Python's C API were not judged."
    try:
        for pid, why in _problems(folder):
            yield f"Process {pid} could not be recorded ({why}), {what}"
    except FileNotFoundError:  # nothing was recorded here
        pass
    except OSError as error:
        yield f"What processes noted about their recordings cannot be read ({error.strerror}), {what}"
    known = {path for path, _ in traces(files(folder))}
    for path in files(folder):
        if path not in known:
            yield f"The recording {path.name} of a process cannot be read, {what}"


def _problems(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the processes that noted that they had no recording, with the reason (``file_note`` of file.cpp)."""
    lines = read_regular(folder / FOLDER / _NOTES, limit=_MOST_NOTES).decode(errors="replace").splitlines()
    for line in lines:
        if found := _PROBLEM.fullmatch(line):
            yield found["pid"], os.strerror(int(found["error"]))


def _gaps(one: Recording) -> Iterator[str]:
    if one.trace.gil is GilSight.NOT_RECOGNISED:
        yield "The GIL was not recognised in this Python, so deadlocks with it could not be judged."
    if not one.complete:
        yield "There are more cycles of locks than were searched, so possible deadlocks may be missing."
    for what, count in one.trace.not_seen.items():
        yield f"The lock recorder could not follow {what} ({counted(count, 'time')})."


@lru_cache(maxsize=256)
def _analyse(path: Path, changed: int) -> Recording | None:
    trace = _trace(path, changed)
    if trace is None:
        return None
    search = find_cycles(trace)
    findings = tuple(deadlock_findings(trace, search.cycles, str(path), LOOKUP))
    return Recording(trace=trace, findings=findings, complete=search.complete)


@lru_cache(maxsize=256)
def _trace(path: Path, changed: int) -> LockTrace | None:  # noqa: ARG001 -- a file that has changed is read again
    return _read(path)


def _read(path: Path) -> LockTrace | None:
    """Return what was recorded; None for what is no recording, such as a file of a process that ended at once."""
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read_mapped(data)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None


def _read_mapped(data: mmap.mmap) -> LockTrace | None:
    view = memoryview(data)
    try:
        with paused():
            return read_trace(view)
    finally:
        view.release()
