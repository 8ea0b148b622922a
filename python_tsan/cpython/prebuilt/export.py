"""Own making an archive of a built interpreter; leave its bytes to :mod:`.bundle`, moving to :mod:`..moving`."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import work_folder
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.environment import clean_environment
from python_tsan.cpython.manifest import MANIFEST_NAME, SourceRecord
from python_tsan.cpython.moving import NEUTRAL, ImmovableError, neutralise, without_build_paths
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.prebuilt.bundle import FILE_TIME, Contents, Entry, write_bundle
from python_tsan.errors import BuildError
from python_tsan.plain_text import duration
from python_tsan.storage import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.paths import Layout

REWRITE_SECONDS = 300.0
_ABANDONED_SECONDS = 3600.0


def export_interpreter(
    interpreter: Interpreter,
    plan: BuildPlan,
    target: Path,
    *,
    numpy: str,
    layout: Layout,
    console: Console,
    launcher: tuple[str, ...] = (),
) -> str:
    """Write ``interpreter`` into the archive ``target`` and return the archive's SHA-256.

    ``numpy`` is the version to take along, with the byte-code of what the checks import; empty leaves packages and
    byte-code out, which a restored interpreter makes anew. The same interpreter gives the same bytes each time.
    Raises ``BuildError`` when a file cannot be moved, ``UsageError`` when the archive cannot be written there,
    ``SubjectError`` when the disk is full.
    """
    started = time.monotonic()
    with storage_errors(target, option="--export", needs="15 to 60 MB"):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            bytecode = Path(scratch) if numpy else None
            if bytecode is not None:
                _rewrite_bytecode(interpreter, bytecode, layout, launcher)
            data = dict(_read(interpreter, bytecode, work_folder(layout)))
            contents = _contents(interpreter, plan, numpy, data)
            write_bundle(Path(scratch) / target.name, contents, data)
            (Path(scratch) / target.name).replace(target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    console.note(
        f"{interpreter.key}: {len(contents.files)} files{f' with numpy {numpy}' if numpy else ''}, "
        f"{target.stat().st_size / 1e6:.1f} MB, in {duration(time.monotonic() - started)}, in {target}; "
        f"SHA-256 {digest}."
    )
    return digest


def _sweep(target: Path) -> None:
    """Delete what exports to this file that were killed have left beside it; none takes an hour."""
    for left in target.parent.glob(f".{glob.escape(target.name)}-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left)


def _contents(interpreter: Interpreter, plan: BuildPlan, numpy: str, data: dict[str, bytes]) -> Contents:
    links = {
        path: str((interpreter.prefix / path).readlink())
        for path in _walk(interpreter.prefix, packages=bool(numpy))
        if (interpreter.prefix / path).is_symlink()
    }
    entries = [_entry(path, content, interpreter.prefix) for path, content in data.items()]
    entries += [Entry(path=path, target=target) for path, target in links.items()]
    return Contents(
        key=interpreter.key,
        plan=json.loads(plan.describe()),
        source=_without_folder(interpreter.source),
        toolchain=interpreter.toolchain,
        numpy=numpy,
        missing_modules=interpreter.missing_modules,
        built_at=interpreter.built_at,
        seconds=interpreter.seconds,
        files=tuple(sorted(entries, key=lambda entry: entry.path)),
    )


def _without_folder(source: SourceRecord | None) -> SourceRecord:
    """Return where the source came from, without a folder of this machine."""
    if source is None:
        raise BuildError("An interpreter of this machine was not built here, so it cannot be exported.")
    origin = Path(source.origin).name if source.origin.startswith("/") else source.origin
    return SourceRecord(version=source.version, origin=origin, sha256=source.sha256, replaces=source.replaces)


def _entry(path: str, content: bytes, prefix: Path) -> Entry:
    return Entry(
        path=path,
        executable=os.access(prefix / path, os.X_OK),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        moves=not path.endswith(".pyc") and NEUTRAL in content,
    )


def _read(interpreter: Interpreter, bytecode: Path | None, builds: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file that is no link with its neutral bytes."""
    for path in _walk(interpreter.prefix, packages=bytecode is not None):
        place = interpreter.prefix / path
        if place.is_symlink():
            continue
        if path.endswith(".pyc"):
            if bytecode and (bytecode / path).is_file():
                yield path, (bytecode / path).read_bytes()
            continue
        data = place.read_bytes()
        try:
            data = neutralise(data, interpreter.prefix)
        except ImmovableError as error:
            raise BuildError(
                f"{path} cannot be taken to another machine: {error}.",
                evidence=place,
                advice="Build the interpreter anew with this version of python-tsan: build --refresh.",
                page="prebuilt",
            ) from error
        yield path, without_build_paths(data, builds)


def _walk(prefix: Path, *, packages: bool) -> Iterator[str]:
    """Yield the paths below ``prefix`` that belong into an archive."""
    for folder, subfolders, files in os.walk(prefix):
        here = Path(folder).relative_to(prefix)
        # Scripts of packages name the Python that installed them, and nothing runs them.
        left_out = {"bin"} if here.name == "site-packages" else set()
        if not packages:
            left_out |= {"__pycache__", "site-packages"}
        subfolders[:] = [name for name in subfolders if name not in left_out]
        names = [*files, *(name for name in subfolders if Path(folder, name).is_symlink())]
        yield from (str(here / name) for name in names if here / name != Path(MANIFEST_NAME))


def _rewrite_bytecode(interpreter: Interpreter, folder: Path, layout: Layout, launcher: tuple[str, ...]) -> None:
    """Let the interpreter itself rewrite its byte-code for the neutral prefix and the archive's file time."""
    log = layout.logs / interpreter.key / "export-byte-code.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**clean_environment(os.environ), "TSAN_OPTIONS": BUILD_TSAN_OPTIONS}
    with resources.as_file(resources.files("python_tsan.cpython.prebuilt") / "inside" / "bytecode.py") as script:
        python: list[str | Path] = [*launcher, interpreter.executable, "-I", "-S", "-B"]
        command = [*python, script, interpreter.prefix, NEUTRAL.decode(), str(FILE_TIME), folder]
        ended = process.run(command, env=env, stdout=log, timeout=REWRITE_SECONDS)
    if not ended.ok:
        raise step_error("rewrite byte-code", ended, log)
