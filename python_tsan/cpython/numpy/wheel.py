"""Install numpy for an interpreter: choose the version, unpack its wheel from outside, and make its byte-code."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import exclusive, writable
from python_tsan.cpython.diagnosis import run_step, step_error, tail
from python_tsan.cpython.environment import clean_environment
from python_tsan.cpython.locks import numpy_lock
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.tools import uv_install
from python_tsan.errors import BuildError, PythonTsanError, UsageError
from python_tsan.plain_text import duration
from python_tsan.storage import write_whole
from python_tsan.version import minor_of
from python_tsan.versioned_json import Format

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.paths import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyChoice:
    """A numpy version, as requirements for uv. ``pinned_by`` is the requirements' SHA-256."""

    version: str
    requirements: str
    hashed: bool

    @property
    def pinned_by(self) -> str:
        """Identity of exactly these requirements, without their comments."""
        lines = [line for line in self.requirements.splitlines() if not line.startswith("#")]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def choose_numpy(interpreter: Interpreter | BuildPlan, settings: Settings) -> NumpyChoice:
    """Return the numpy for this interpreter: the locked one, or the version that the settings name, without hashes."""
    minor = minor_of(interpreter.version)
    lock = numpy_lock(minor, free_threaded=interpreter.free_threaded)
    if lock is not None and settings.numpy in (None, lock.version):
        return NumpyChoice(version=lock.version, requirements=lock.file.read_text(encoding="utf-8"), hashed=True)
    if settings.numpy is None:
        raise UsageError(
            f"no numpy is locked for Python {minor}{'t' if interpreter.free_threaded else ''}",
            advice="name a version that has a wheel for it: --numpy VERSION",
        )
    return NumpyChoice(version=settings.numpy, requirements=f"numpy=={settings.numpy}\n", hashed=False)


INSTALL_SECONDS = 600.0
# Because numpy==2.5.5 has no usable wheels and   /   numpy==2.5.5 has no wheels with a matching Python ABI tag
# Because numpy==2.5.5 has no wheels with a free-threading compatible ABI tag
_NO_WHEEL = re.compile(r"has no (?:usable )?wheels")


def place_wheel(interpreter: Interpreter, choice: NumpyChoice, folder: Path, log: Path) -> None:
    """Unpack the wheel next to its place, then move it in, so that an incomplete numpy is never on the path.

    Raises ``BuildError`` if no wheel fits this interpreter, or it is unavailable.
    """
    writable(folder)
    with tempfile.TemporaryDirectory(prefix=".numpy-", dir=folder.parent) as name:
        scratch = folder.parent / name
        lock = scratch / "requirements.txt"
        lock.write_text(choice.requirements, encoding="utf-8")
        # uv need not run the slow interpreter, save for the ABI that no option can express.
        series = () if interpreter.free_threaded else ("--python-version", minor_of(interpreter.version))
        python = interpreter.executable if interpreter.free_threaded else sys.executable
        command = [*uv_install(lock, hashed=choice.hashed), "--target", scratch / "out", "--python", python, *series]
        env = {**clean_environment(os.environ), "TSAN_OPTIONS": BUILD_TSAN_OPTIONS}
        ended = process.run(command, env=env, stdout=log, timeout=INSTALL_SECONDS)
        if not ended.ok:
            raise _no_wheel(interpreter, choice, log) or step_error("install numpy", ended, log)
        # From here on the folder holds parts of two installations, of which no record may speak.
        (folder / RECORD_NAME).unlink(missing_ok=True)
        for entry in sorted((scratch / "out").iterdir()):
            place = folder / entry.name
            if place.is_dir():
                shutil.rmtree(place)
            entry.rename(place)


def _no_wheel(interpreter: Interpreter, choice: NumpyChoice, log: Path) -> BuildError | None:
    """Return the error for a release that has its source and other wheels, but none for this interpreter, else None."""
    if not _NO_WHEEL.search(tail(log)):
        return None
    kind = "free-threaded Python" if interpreter.free_threaded else "Python"
    return BuildError(
        f"numpy {choice.version} has no wheel for {kind} {interpreter.version}, and no source build was requested",
        evidence=log,
        advice="drop --numpy, or name a version that has one; --instrumented-numpy builds the locked one",
    )


RECORD_NAME = "python-tsan-numpy.json"
IMPORT_SECONDS = 300.0

# What the checks import: once this has run, each of them finds its byte-code.
WARM_UP = (
    "import argparse, faulthandler, importlib.machinery, importlib.util, json, pathlib, queue, signal, tempfile, "
    "threading, time, traceback, typing, numpy; print(numpy.__version__)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """What was installed: written last, valid only while it matches the choice."""

    schema: int = 1
    version: str
    pinned_by: str
    interpreter: str
    installed_at: str


_RECORDS = Format(kind=PackageRecord, what="record of a package", schema=1)


def install_numpy(
    interpreter: Interpreter, settings: Settings, *, layout: Layout, console: Console, launcher: tuple[str, ...] = ()
) -> Path:
    """Install numpy for ``interpreter`` unless it is installed, and return the folder that holds it.

    That is the ``site-packages`` of an interpreter that we built; for a stock one it is a folder of our own, since a
    Python that belongs to the machine is never touched. ``launcher`` is the toolchain's prefix for instrumented
    programs. Raises ``UsageError`` when no numpy is locked for this Python and none was named, ``BuildError`` when no
    wheel fits or it cannot be imported.
    """
    choice = choose_numpy(interpreter, settings)
    folder = package_folder(interpreter, choice, layout)
    found = None if settings.refresh else read_record(folder, choice)
    if found is None:
        with exclusive(layout, f"numpy-{interpreter.key}", console):
            found = None if settings.refresh else read_record(folder, choice)
            if found is None:
                _install(interpreter, choice, folder, layout=layout, console=console, launcher=launcher)
                return folder
    when = found.installed_at[:16].replace("T", " ")  # always UTC
    console.note(f"numpy {found.version} is up to date: installed at {when} UTC, in {folder}")
    return folder


def package_folder(interpreter: Interpreter, choice: NumpyChoice, layout: Layout) -> Path:
    """Return where numpy for this interpreter belongs."""
    if interpreter.instrumented:
        return interpreter.standard_library / "site-packages"
    return layout.root / "packages" / interpreter.key / f"numpy-{choice.version}"


def read_record(folder: Path, choice: NumpyChoice) -> PackageRecord | None:
    """Return the record in ``folder`` if it matches ``choice``, else None."""
    try:
        record = _RECORDS.load(folder / RECORD_NAME)
    except PythonTsanError:
        return None
    return record if record.pinned_by == choice.pinned_by and (folder / "numpy").is_dir() else None


def _install(
    interpreter: Interpreter,
    choice: NumpyChoice,
    folder: Path,
    *,
    layout: Layout,
    console: Console,
    launcher: tuple[str, ...],
) -> None:
    logs = writable(layout.logs / f"numpy-{interpreter.key}")
    started = datetime.now(tz=UTC)
    with console.steps(["numpy wheel", "numpy byte-code"]) as progress:
        progress.start("numpy wheel")
        place_wheel(interpreter, choice, folder, logs / "install.log")
        progress.start("numpy byte-code")
        with _kept_bytecode(interpreter, layout):
            complete(interpreter, choice.version, logs / "import.log", launcher=launcher, folder=folder)
        progress.done()
    record = PackageRecord(
        version=choice.version,
        pinned_by=choice.pinned_by,
        interpreter=interpreter.key,
        installed_at=started.isoformat(timespec="seconds"),
    )
    write_whole(folder / RECORD_NAME, _RECORDS.encode(record))
    seconds = (datetime.now(tz=UTC) - started).total_seconds()
    pinned = "" if choice.hashed else ", not pinned by hash"
    console.note(f"numpy {choice.version}: installed in {duration(seconds)}{pinned}, in {folder}")


def complete(
    interpreter: Interpreter, version: str, log: Path, *, launcher: tuple[str, ...], folder: Path | None = None
) -> None:
    """Import what the checks do once, so that its byte-code is made, and check the version of numpy.

    Byte-code is allowed regardless of the caller's environment. numpy is among the packages of an instrumented
    interpreter, and in ``folder`` for a stock one.
    """
    env = {**clean_environment(os.environ), "OPENBLAS_NUM_THREADS": "1"}
    env |= {"TSAN_OPTIONS": BUILD_TSAN_OPTIONS} if interpreter.instrumented else {"PYTHONPATH": str(folder)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.pop("PYTHONPYCACHEPREFIX", None)
    prefix = launcher if interpreter.instrumented else ()
    command: list[str | Path] = [*prefix, interpreter.executable, "-s", "-c", WARM_UP]
    run_step("import numpy", command, log, env=env, timeout=IMPORT_SECONDS)
    if log.read_text(errors="replace").split()[-1:] != [version]:
        raise BuildError(
            f"numpy {version} was installed, but another one is imported",
            evidence=log,
            advice="look for another numpy on this interpreter's path",
        )


@contextlib.contextmanager
def _kept_bytecode(interpreter: Interpreter, layout: Layout) -> Iterator[None]:
    """Bring in the byte-code that an earlier build of the same source left, and keep what is new.

    An interpreter checks each ``.pyc`` against its source's time and size, so a stale one costs time, never truth.
    """
    if not interpreter.instrumented or interpreter.source is None:
        yield
        return
    library = interpreter.standard_library
    kept = layout.root / "bytecode" / f"{interpreter.source.sha256[:16]}-installed"
    _copy_bytecode(kept, library)
    yield
    _copy_bytecode(library, kept)


def _copy_bytecode(source: Path, target: Path) -> None:
    for path in source.rglob("__pycache__/*.pyc"):
        place = target / path.relative_to(source)
        if not place.exists() or place.stat().st_mtime_ns < path.stat().st_mtime_ns:
            place.parent.mkdir(parents=True, exist_ok=True)
            # By rename: an import fails on byte-code that was cut short, and its time would keep it here for ever.
            unfinished = place.with_name(f"{place.name}.{os.getpid()}")
            shutil.copy2(path, unfinished)
            unfinished.replace(place)
