"""Make each artifact of the cache once: lock, build in a private folder, rename into place, sweep what kills left.

What has its final name is complete. The callers decide what is made and when it counts as up to date.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from python_tsan.errors import BuildError
from python_tsan.storage import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.paths import Layout

Made = TypeVar("Made")


def artifact(
    target: Path,
    fill: Callable[[Path], Path],
    *,
    key: str,
    ready: Callable[[Path], Made | None],
    layout: Layout,
    console: Console,
    refresh: bool = False,
) -> tuple[Made, bool]:
    """Return what ``ready`` reads from the folder ``target``, and whether it was made by this call.

    Unless ``ready`` finds a complete one, the lock of ``key`` is taken, ``fill`` gets an empty private folder and
    returns the folder that becomes ``target`` by rename. ``refresh`` makes it again, unless another process has made
    it while this call waited. Raises what ``fill`` raises, and as :func:`storage_errors` does.
    """
    if not refresh and (found := ready(target)) is not None:
        return found, False
    started = time.time_ns()
    with exclusive(layout, key, console) as waited:
        if (not refresh or (waited and _changed(target) >= started)) and (found := ready(target)) is not None:
            return found, False
        sweep(layout)
        work = work_folder(layout) / key
        discard(work)
        try:
            staged = fill(writable(work))
            os.utime(staged)
            put_in_place(staged, target)
        finally:
            discard(work)
        made = ready(target)
    if made is None:
        raise BuildError(f"{target.name} was built, but cannot be read back", evidence=target)
    return made, True


def existing(path: Path) -> Path | None:
    """Return ``path`` if it exists."""
    return path if path.exists() else None


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def put_in_place(staged: Path, target: Path) -> None:
    """Give a complete folder its final name, in place of an older one. Raises as :func:`storage_errors` does."""
    with storage_errors(target, option="--cache"):
        target.parent.mkdir(parents=True, exist_ok=True)
        discard(target)
        staged.rename(target)


@contextlib.contextmanager
def exclusive(layout: Layout, key: str, console: Console) -> Iterator[bool]:
    """Hold the lock of ``key`` while the context lasts; the value is True if this process had to wait for it.

    A process that waits says once for which other one. The lock ends with its process, however that ends.
    Raises as :func:`storage_errors` does when the cache cannot be written.
    """
    folder = writable(layout.locks)
    lock = FileLock(folder / f"{key}.lock")
    holder = folder / f"{key}.holder"
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waited = True
        console.note(f"{key}: waiting for {_describe(holder)}")
        lock.acquire()
    try:
        with storage_errors(holder, option="--cache"):
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
    """Return the folder of artifacts that are being made, one folder per key."""
    return layout.work / "artifacts"


def sweep(layout: Layout) -> tuple[str, ...]:
    """Delete the work folders that killed processes left; return their names.

    The name of a folder is its artifact's key, maybe with a suffix after ``~``. The process that holds the lock of the
    key is still at work.
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
    """Delete a folder. It is renamed first, so that a process that still writes into it by path does no harm."""
    if not folder.exists():
        return
    aside = folder if "~" in folder.name else folder.with_name(f"{folder.name}~{os.getpid()}")
    if aside != folder:
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    # Folders without write permission are the only likely obstacle, and the next sweep tries again.
    shutil.rmtree(aside, ignore_errors=True)


def _ourselves() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(tz=UTC).strftime("%H:%M:%S UTC")}


def _describe(holder: Path) -> str:
    """Name the holder of a lock. Its note is written after the lock is taken, so it may not exist yet."""
    try:
        found = json.loads(holder.read_text())
        return f"process {found['pid']} on {found['host']}, which has been building it since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process, which is building it"
