"""Make the folder of a run, write its ``run.json`` whole or not at all, and link the latest run."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.result.codec import parts_of_result
from python_tsan.result.model import RUN_FILE
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.result.model import Result

LATEST = "latest"


class RunFolder(Struct, frozen=True, kw_only=True):
    """Where one run keeps its evidence: a folder per subject, and ``run.json`` once it has ended."""

    path: Path
    started_at: datetime

    @property
    def id(self) -> str:
        """Name of the folder: UTC time, so that folders sort by age, and a random part."""
        return self.path.name

    def subject(self, *parts: str) -> Path:
        """Return a folder for a subject below this run, which is not made yet."""
        return self.path.joinpath(*(part.replace("/", "-") for part in parts))


def open_run(output: Path, *, now: datetime | None = None) -> RunFolder:
    """Make a new folder for a run below ``output``.

    Raises as :func:`storage_errors` does when it cannot be made: no space, no right, a file in the way.
    """
    started_at = now or datetime.now(tz=UTC)
    path = output.absolute() / f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    with storage_errors(path):
        path.mkdir(parents=True)
    return RunFolder(path=path, started_at=started_at)


def save_run(folder: RunFolder, run: Result) -> Path:
    """Write ``run.json`` by rename, point ``latest`` at its folder, and return the file.

    Raises as :func:`storage_errors` does when it cannot be written; nothing half-written is left behind.
    """
    target = folder.path / RUN_FILE
    with storage_errors(target):
        write_whole(target, parts_of_result(run))
        point_latest(folder.path)
    return target


def point_latest(folder: Path) -> None:
    """Replace the link by rename; a file system without links does without it."""
    temporary = folder.parent / f".{LATEST}.{folder.name}"
    with suppress(OSError):
        temporary.symlink_to(folder.name)
        try:
            temporary.replace(folder.parent / LATEST)
        finally:
            temporary.unlink(missing_ok=True)
