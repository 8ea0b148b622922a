"""Find the runs that a user names, and read them, those inside of earlier merges too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.errors import PythonTsanError, UsageError
from python_tsan.result.codec import load_result
from python_tsan.result.model import OLD_FILE, RUN_FILE
from python_tsan.storage import real

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.result.model import Result

PARTS_FOLDER = "parts"


class Loaded(Struct, frozen=True, kw_only=True):
    """What was read: results with their files, and for each file that could not be read its error in words."""

    runs: tuple[tuple[str, Result], ...]
    unreadable: tuple[str, ...] = ()


def find_runs(paths: Sequence[str]) -> tuple[Path, ...]:
    """Return the file of each run that ``paths`` name: files, run folders, and folders that hold run folders.

    Raises :class:`UsageError` for a path that does not exist, or a folder without a run.
    """
    found: dict[Path, Path] = {}
    for name in paths:
        files = list(_files_in(Path(name)))
        if not files:
            raise UsageError(
                f"{name}: {_why_none(Path(name))}",
                advice=f"name a run's folder, its {RUN_FILE}, or a folder of runs",
                page="compare",
            )
        for file in files:
            found.setdefault(real(file), file)
    return tuple(found.values())


def _why_none(path: Path) -> str:
    if (path / OLD_FILE).is_file():
        return f"this run is older than this python-tsan: it has a {OLD_FILE}, and {RUN_FILE} is supported"
    return "no run is in this folder" if path.is_dir() else "there is no such run"


def _files_in(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    # Links (`latest`) name a run that is found under its own name.
    for folder, folders, files in os.walk(path):
        folders.sort()
        if RUN_FILE in files:
            folders.clear()  # the evidence of a run is no run
            yield Path(folder) / RUN_FILE


def load_all(files: Iterable[Path]) -> Loaded:
    """Read each file. One that cannot be read costs none of the others."""
    runs, unreadable = [], []
    for file in files:
        try:
            runs.append((str(file), load_result(file)))
        except PythonTsanError as error:
            unreadable.append(f"{error.message}{f' ({error.advice})' if error.advice else ''}")
    return Loaded(runs=tuple(runs), unreadable=tuple(unreadable))


def load_parts(paths: Sequence[str]) -> Iterator[tuple[str, Result]]:
    """Yield each run that ``paths`` name, with its folder: runs, folders of runs, and what earlier merges kept.

    Raises :class:`UsageError` for a path without a run, :class:`python_tsan.errors.SubjectError` for one that cannot be
    read: a sum that leaves something out would be wrong.
    """
    for file in find_runs(paths):
        kept = file.parent / PARTS_FOLDER
        if kept.is_dir():
            yield from load_parts([str(path) for path in sorted(kept.iterdir()) if path.is_dir()])
        else:
            yield str(file.parent), load_result(file)
