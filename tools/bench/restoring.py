"""Measure archives of an interpreter with a user's commands: their size, and the time to restore them."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.diagnosis import step_error
from tools.bench.table import Row, Table, judged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.process import Completed
    from tools.bench.order import Order

COLUMNS = ("what", "size", "wall", "CPU", "at most", "met")
LIMIT = 600.0
REPEATS = 3
MOST_BYTES = 60 * 10**6
MOST_SECONDS = 5.0


def tables(order: Order) -> Iterator[Table]:
    """Export the interpreter of the order's settings without and with numpy, and restore both."""
    pipeline = order.pipeline
    built = pipeline.interpreter_with_numpy
    folder = order.folder / "archives"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield judged(f"archives of CPython {built.version} by {built.toolchain}", COLUMNS, rows(pipeline.settings, folder))
    shutil.rmtree(folder)


def rows(settings: Settings, folder: Path) -> Iterator[Row]:
    """Yield a row for each command; the first restore has to try the compiler too, later ones know it."""
    for name, options, most_bytes in (("without numpy", (), MOST_BYTES), ("with numpy", ("--with-numpy",), None)):
        archive = folder / f"{name.replace(' ', '-')}.tar.zst"
        made = _build(settings, settings.cache, folder, "--export", str(archive), *options)
        yield exported(f"export {name}", archive.stat().st_size, made, most_bytes)
        empty = folder / "empty"
        shutil.rmtree(empty, ignore_errors=True)
        yield restored(f"restore {name}, first use of the compiler", [_restore(settings, empty, archive)], None)
        again = [_restore(settings, empty, archive) for _ in range(REPEATS)]
        yield restored(f"restore {name}, best of {REPEATS}", again, MOST_SECONDS)


def exported(what: str, size: int, ended: Completed, most: int | None) -> Row:
    """Return the row of an archive, which may have a largest size in bytes."""
    return Row(
        what=what,
        before=f"{size / 1e6:.1f} MB",
        measured=f"{ended.seconds:.1f} s",
        cost=f"{ended.cpu_seconds:.1f} s",
        limit="" if most is None else f"{most / 1e6:.0f} MB",
        met=None if most is None else size <= most,
    )


def restored(what: str, ended: list[Completed], most: float | None) -> Row:
    """Return the row of a restore, which may have a longest time in seconds."""
    best = min(ended, key=lambda each: each.seconds)
    return Row(
        what=what,
        measured=f"{best.seconds:.2f} s",
        cost=f"{best.cpu_seconds:.2f} s",
        limit="" if most is None else f"{most:.0f} s",
        met=None if most is None else best.seconds <= most,
    )


def _restore(settings: Settings, cache: Path, archive: Path) -> Completed:
    """Restore into a cache that has no interpreter, as a machine has whose compiler is known already."""
    shutil.rmtree(cache / "interpreters", ignore_errors=True)
    return _build(settings, cache, archive.parent, "--from", str(archive))


def _build(settings: Settings, cache: Path, folder: Path, *options: str) -> Completed:
    command = [sys.executable, "-m", "python_tsan", "build", "--cache", str(cache), *_meant(settings), *options]
    log = folder / "build.log"
    ended = process.run(command, env=os.environ, stdout=log, timeout=LIMIT)
    if not ended.ok:
        raise step_error(" ".join(command[2:]), ended, log)
    return ended


def _meant(settings: Settings) -> list[str]:
    """Return the options that mean the same interpreter as these settings."""
    told = [("--python", settings.python), ("--toolchain", settings.toolchain)]
    named = [word for option, value in told if value for word in (option, value)]
    flags = {
        "--free-threaded": settings.free_threaded,
        "--release": settings.release,
        "--instrumented-numpy": settings.instrumented_numpy,
    }
    return [*named, *(flag for flag, wanted in flags.items() if wanted)]
