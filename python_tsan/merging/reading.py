"""Own finding and reading the parts, those inside of earlier merges too; leave formats to the rooms that write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.comparison.reading import find_runs
from python_tsan.errors import UsageError
from python_tsan.merging.parts import CheckedPart, Part, ProgramPart
from python_tsan.render.store import RUN_FILE, load_run
from python_tsan.report.codec import REPORT_FILE, decode_report
from python_tsan.running.account import load_account

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PARTS_FOLDER = "parts"


def load_parts(paths: Sequence[str]) -> Iterator[tuple[str, Part]]:
    """Yield each part that ``paths`` name, with its folder: runs, folders of runs, and what earlier merges kept.

    Raises :class:`UsageError` for a path without a run, :class:`python_tsan.errors.SubjectError` for one that cannot be
    read: a sum that leaves something out would be wrong.
    """
    for file in find_runs(paths):
        yield from _parts_of(file)


def _parts_of(file: Path) -> Iterator[tuple[str, Part]]:
    folder = file.parent
    kept = folder / PARTS_FOLDER
    if kept.is_dir():
        for name in sorted(path.name for path in kept.iterdir() if path.is_dir()):
            for inner in find_runs([str(kept / name)]):
                yield from _parts_of(inner)
    elif file.name == RUN_FILE:
        yield str(folder), CheckedPart(run=load_run(file))
    elif file.name == REPORT_FILE:
        account = load_account(folder)
        yield str(folder), ProgramPart(report=decode_report(file.read_bytes(), name=str(file)), account=account)
    else:
        raise UsageError(
            f"{file} is neither {RUN_FILE} nor {REPORT_FILE}", advice="name the folder of a run", page="merge"
        )
