"""Own putting numpy's wheel into its place, by uv and from outside; leave which one it is to :mod:`.wanted`."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.diagnosis import step_error, tail
from python_tsan.cpython.environment import clean_environment
from python_tsan.cpython.locking import writable
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.uv import uv_install
from python_tsan.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.wanted import Wanted

INSTALL_SECONDS = 600.0
# Because numpy==2.5.5 has no usable wheels and   /   numpy==2.5.5 has no wheels with a matching Python ABI tag
_NO_WHEEL = re.compile(r"has no (?:usable )?wheels")


def place_wheel(interpreter: Interpreter, wanted: Wanted, folder: Path, log: Path) -> None:
    """Unpack the wheel beside its place, then move it in, so that a half-made numpy is never in the path.

    Raises ``BuildError`` when there is none for this interpreter, or it cannot be had.
    """
    writable(folder)
    with tempfile.TemporaryDirectory(prefix=".numpy-", dir=folder.parent) as name:
        scratch = folder.parent / name
        lock = scratch / "requirements.txt"
        lock.write_text(wanted.requirements, encoding="utf-8")
        command = [*uv_install(lock, hashed=wanted.hashed), "--target", scratch / "out", *_for_python(interpreter)]
        ended = process.run(command, env=_uv_environment(), stdout=log, timeout=INSTALL_SECONDS)
        if not ended.ok:
            raise _no_wheel(interpreter, wanted, log) or step_error("install numpy", ended, log)
        for entry in sorted((scratch / "out").iterdir()):
            _replace(entry, folder / entry.name)


def _no_wheel(interpreter: Interpreter, wanted: Wanted, log: Path) -> BuildError | None:
    """Return the error for a release that has its source and other wheels, but none for this interpreter, else None."""
    if not _NO_WHEEL.search(tail(log)):
        return None
    kind = "free-threaded Python" if interpreter.free_threaded else "Python"
    return BuildError(
        f"numpy {wanted.version} has no wheel for {kind} {interpreter.version}, and is not built from source unasked.",
        evidence=log,
        advice="Leave --numpy out, or name a version that has one; --instrumented-numpy builds the locked one.",
    )


def _replace(entry: Path, place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    entry.rename(place)


def _for_python(interpreter: Interpreter) -> tuple[str | Path, ...]:
    """Say which wheels fit. uv need not run the slow interpreter, save for the ABI that no option can express."""
    if interpreter.free_threaded:
        return ("--python", interpreter.executable)
    return ("--python", sys.executable, "--python-version", ".".join(interpreter.version.split(".")[:2]))


def _uv_environment() -> dict[str, str]:
    return {**clean_environment(os.environ), "TSAN_OPTIONS": BUILD_TSAN_OPTIONS}
