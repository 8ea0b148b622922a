"""Own who may build what: one lock per artefact, and the sweep of what killed builds left; leave building to others."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from python_tsan.storage import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.paths import Layout


@contextlib.contextmanager
def exclusive(layout: Layout, key: str, console: Console) -> Iterator[bool]:
    """Hold the lock of the artefact ``key`` while the context lasts; the value is True if it had to be waited for.

    While another process holds it, says once which one. The lock goes with its process, however that ends.
    Raises ``UsageError`` when the cache cannot be written.
    """
    folder = writable(layout.locks)
    lock = FileLock(folder / f"{key}.lock")
    holder = folder / f"{key}.holder"
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waited = True
        console.note(f"{key}: waiting for {_describe(holder)}.")
        lock.acquire()
    try:
        holder.write_text(json.dumps(_ourselves()))
        yield waited
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def writable(folder: Path) -> Path:
    """Create ``folder`` if need be and return it. Raises as :func:`storage_errors` does."""
    with storage_errors(folder, option="--cache"):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return folder


def work_folder(layout: Layout) -> Path:
    """Return the folder of interpreters that are being built, one folder per key."""
    return layout.work / "interpreters"


def sweep(layout: Layout) -> tuple[str, ...]:
    """Delete the work folders of builds that nobody is running any more; return their names.

    A folder's name is its artefact's key, maybe with a suffix after ``~``; who holds that key's lock is at work.
    """
    if not work_folder(layout).is_dir():
        return ()
    removed = []
    for folder in sorted(work_folder(layout).iterdir()):
        lock = FileLock(layout.locks / f"{folder.name.partition('~')[0]}.lock")
        try:
            with lock.acquire(timeout=0):
                discard(folder)
        except Timeout:
            continue
        removed.append(folder.name)
    return tuple(removed)


def discard(folder: Path) -> None:
    """Delete a folder. It goes out of the way first, so that whatever still writes into it by path cannot hurt."""
    if not folder.exists():
        return
    aside = folder if "~" in folder.name else folder.with_name(f"{folder.name}~{os.getpid()}")
    if aside != folder:
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    # Unwritable folders inside are the only likely obstacle, and the next sweep tries again.
    shutil.rmtree(aside, ignore_errors=True)


def _ourselves() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(tz=UTC).strftime("%H:%M:%S UTC")}


def _describe(holder: Path) -> str:
    """Say who holds a lock. The note is written after the lock is taken, so it may not be there yet."""
    try:
        found = json.loads(holder.read_text())
        return f"process {found['pid']} on {found['host']}, which has been building it since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process, which is building it"
