"""Detect calls that break the contract of Python's C API, from the recordings of the preloaded lock recorder."""

from __future__ import annotations

import mmap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.detect import locks
from python_tsan.detect.registry import Evidence
from python_tsan.locks.misuse import misuse_findings, references_kept
from python_tsan.locks.model import GilSight
from python_tsan.plain_text import counted
from python_tsan.result.model import Unparsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from python_tsan.detect.reading import Reading
    from python_tsan.result.model import KeptReference
    from python_tsan.tsan.finding import Finding

# A text in each CPython from 3.11 on: the name of a variable that it reads from the environment.
_OF_PYTHON = b"PYTHONNODEBUGRANGES"
# An expectation that counts findings one by one needs no more of one place.
MOST_REPEATED = 1000


def prepare(folder: Path, env: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG001 -- the protocol's signature
    """Return nothing: the recordings are those of the locks."""
    return {}


def files(folder: Path) -> tuple[Path, ...]:
    """Return the recordings, one for each process that used a lock, a thread or Python."""
    return locks.files(folder)


def problem(folder: Path, stderr: str) -> str:  # noqa: ARG001 -- so too
    """Return an empty string: what a recording lacks is no reason to distrust other detectors, see :func:`gaps`."""
    return ""


def read(files: Sequence[Path]) -> Evidence:
    """Return the broken rules of all recordings."""
    repeated = (finding for finding, count in _findings(files) for _ in range(min(count, MOST_REPEATED)))
    return Evidence(findings=tuple(repeated), unparsed=Unparsed())


def digest(files: Sequence[Path], reading: Reading) -> None:
    """Add the broken rules of all recordings to ``reading``."""
    for finding, count in _findings(files):
        reading.digest.add_finding(finding, times=count)


def kept_references(folder: Path) -> tuple[KeptReference, ...]:
    """Return the borrowed references that were kept over a release of the GIL."""
    recorded = locks.traces(files(folder))
    return tuple(each for _, trace in recorded for each in references_kept(trace, locks.LOOKUP))


def gaps(folders: Iterable[Path], *, alone: bool) -> Iterator[str]:
    """Yield why calls of some processes could not be judged, each reason once."""
    seen: dict[str, None] = {}
    for folder in folders:
        traces, lost = [trace for _, trace in locks.traces(files(folder))], list(locks.unrecorded(folder))
        seen.update(dict.fromkeys(lost))
        if alone and not lost and all(trace.gil is GilSight.NO_PYTHON and not trace.misuses for trace in traces):
            seen["No Python was seen, so calls of its C API were not judged."] = None
        for program in sorted({trace.command for trace in traces if trace.gil is GilSight.NO_PYTHON}):
            if _contains_python(program):
                name = program.rpartition("/")[2]
                seen[f"{name} contains Python as a static library, so its calls of the C API were not judged."] = None
        for trace in traces:
            if trace.gil is not GilSight.NO_PYTHON and not trace.checks_calls:
                seen["Calls of Python's C API were not seen in this Python, so they were not judged."] = None
            for what, count in trace.calls_not_seen.items():
                seen[f"The recorder could not follow {what} ({counted(count, 'time')})."] = None
    yield from seen


@cache
def _contains_python(program: str) -> bool:
    """Whether a program is linked to CPython itself, stripped or not; the recorder needs the functions' names."""
    try:
        with Path(program).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(_OF_PYTHON) >= 0
    except (OSError, ValueError):
        return False


def _findings(files: Sequence[Path]) -> Iterator[tuple[Finding, int]]:
    for path, trace in locks.traces(files):
        yield from misuse_findings(trace, str(path), locks.LOOKUP)
