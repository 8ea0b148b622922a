"""Resolve the lock files of ``python_tsan/cpython/locks`` again: ``python -m tools.locks [NAME ...]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from python_tsan import process
from python_tsan.cpython.locks import LOCKS, Lock
from python_tsan.cpython.tools import find_uv

FOLDER = Path(__file__).parents[1] / "python_tsan" / "cpython" / "locks"
SECONDS = 300.0
OPTIONS = (
    *("--quiet", "--no-config", "--generate-hashes", "--no-annotate", "--no-header"),
    *("--no-deps", "--only-binary", ":all:", "--python-version"),
)


def compile_lock(lock: Lock, folder: Path) -> None:
    """Resolve one lock and write its file into ``folder``. Exit with uv's message when that fails."""
    with tempfile.TemporaryDirectory() as scratch:
        requested = Path(scratch) / "requirements.in"
        requested.write_text(lock.requirement + "\n")
        ended = process.run([find_uv(), "pip", "compile", *OPTIONS, lock.python, requested], timeout=SECONDS)
    if not ended.ok:
        raise SystemExit(f"{lock.name}: {ended.stderr}")
    header = f"# {lock.requirement} for Python {lock.python}; made by: python -m tools.locks {lock.name}\n"
    (folder / f"{lock.name}.txt").write_text(header + ended.stdout, encoding="utf-8")


def main(names: list[str]) -> None:
    """Resolve the named lock files, or all."""
    for lock in LOCKS:
        if not names or lock.name in names:
            compile_lock(lock, FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
