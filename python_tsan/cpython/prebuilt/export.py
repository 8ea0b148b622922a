"""Export a built interpreter as an archive, and check the archive by restoring it before it counts as written.

:mod:`.archive` writes the archive, :mod:`..moving` replaces the paths in its files.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.artifact import writable
from python_tsan.cpython.diagnosis import run_step
from python_tsan.cpython.environment import clean_environment
from python_tsan.cpython.manifest import MANIFEST_NAME
from python_tsan.cpython.moving import ELF_MAGIC, NEUTRAL, ImmovableError, neutralise, without_build_paths
from python_tsan.cpython.numpy.wheel import complete
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.prebuilt.archive import (
    FILE_TIME,
    ArchiveError,
    Contents,
    Entry,
    open_archive,
    write_archive,
)
from python_tsan.cpython.prebuilt.restore import unpack_checked
from python_tsan.cpython.sources.unpack import UnsafeMember
from python_tsan.errors import BuildError, UsageError
from python_tsan.plain_text import counted, duration
from python_tsan.storage import sha256_of, storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter, SourceRecord
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain

REWRITE_SECONDS = 300.0
_ABANDONED_SECONDS = 3600.0


def export_interpreter(
    interpreter: Interpreter,
    plan: BuildPlan,
    target: Path,
    *,
    numpy: str,
    toolchain: Toolchain,
    layout: Layout,
    console: Console,
) -> str:
    """Write ``interpreter`` into the archive ``target`` and return the archive's SHA-256.

    ``numpy`` is the version to include, with the byte-code of what the checks import; empty leaves packages and
    byte-code out, which a restored interpreter makes again. The same interpreter gives the same bytes each time.
    Raises ``BuildError`` when a file cannot be moved or the archive does not restore, ``UsageError`` when it cannot be
    written there, ``SubjectError`` when the disk is full.
    """
    started = time.monotonic()
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_file():
        raise UsageError(f"cannot write {target}: not a regular file", page="storage")
    with storage_errors(target, option="--export", needs="15 to 60 MB"):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            bytecode = Path(scratch) if numpy else None
            if bytecode is not None:
                _rewrite_bytecode(interpreter, bytecode, layout, toolchain.launcher)
            found = sorted(_entries(interpreter, bytecode, layout.work), key=lambda each: each[0].path)
            data = {entry.path: content for entry, content in found if not entry.target}
            contents = Contents(
                key=interpreter.key,
                plan=json.loads(plan.describe()),
                source=_without_folder(interpreter.source),
                toolchain=interpreter.toolchain,
                numpy=numpy,
                missing_modules=interpreter.missing_modules,
                built_at=interpreter.built_at,
                seconds=interpreter.seconds,
                files=tuple(entry for entry, _ in found),
            )
            archive = Path(scratch) / target.name
            write_archive(archive, contents, data)
            _check(archive, interpreter, plan, data, toolchain=toolchain, layout=layout)
            archive.replace(target)
    digest = sha256_of(target)
    console.note(
        f"{interpreter.key}: {counted(len(contents.files), 'file')}{f' with numpy {numpy}' if numpy else ''}, "
        f"{target.stat().st_size / 1e6:.1f} MB, written and checked in {duration(time.monotonic() - started)}, in "
        f"{target}; SHA-256 {digest}"
    )
    return digest


def _check(
    archive: Path,
    interpreter: Interpreter,
    plan: BuildPlan,
    data: dict[str, bytes],
    *,
    toolchain: Toolchain,
    layout: Layout,
) -> None:
    """Restore the archive into a temporary folder of the cache, run what it holds, and compare every file.

    Raises ``BuildError`` for any difference.
    """
    with tempfile.TemporaryDirectory(prefix="export~", dir=writable(layout.work)) as name:
        prefix = Path(name) / "prefix"
        try:
            with open_archive(archive) as reader:
                restored = unpack_checked(reader, plan, toolchain, prefix, prefix)
            if numpy := reader.contents.numpy:
                complete(restored, numpy, layout.logs / plan.key / "export-numpy.log", launcher=toolchain.launcher)
            wrong = [path for path in data if not _is_same(path, data[path], interpreter.prefix, prefix)]
        except (ArchiveError, UnsafeMember) as error:
            raise _unusable(str(error), archive) from error
    if wrong:
        raise _unusable(f"{counted(len(wrong), 'file')} changed, such as {wrong[0]}", archive)


def _is_same(path: str, content: bytes, before: Path, after: Path) -> bool:
    """Return whether a restored file is what was written, and an ELF file as long as it was before."""
    found = (after / path).read_bytes()
    if content.startswith(ELF_MAGIC) and len(found) != (before / path).stat().st_size:
        return False
    return (found if path.endswith(".pyc") else neutralise(found, after)) == content


def _unusable(reason: str, archive: Path) -> BuildError:
    return BuildError(
        f"{archive.name} was not written, since it does not restore: {reason}",
        advice="please report this with the compiler's version",
        page="prebuilt",
    )


def _sweep(target: Path) -> None:
    """Delete what killed exports to this file have left in its folder; none takes an hour."""
    for left in target.parent.glob(f".{glob.escape(target.name)}-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left)


def _without_folder(source: SourceRecord | None) -> SourceRecord:
    """Return where the source came from, without folders of this machine."""
    if source is None:
        raise BuildError("only an interpreter that was built here can be exported")
    origin = Path(source.origin).name if source.origin.startswith("/") else source.origin
    return replace(source, origin=origin)


def _entries(interpreter: Interpreter, bytecode: Path | None, work: Path) -> Iterator[tuple[Entry, bytes]]:
    """Yield what an archive holds, each regular file with its neutral bytes."""
    for path in _walk(interpreter.prefix, packages=bytecode is not None):
        place = interpreter.prefix / path
        if place.is_symlink():
            yield Entry(path=path, target=str(place.readlink())), b""
            continue
        if not path.endswith(".pyc"):
            try:
                content = without_build_paths(neutralise(place.read_bytes(), interpreter.prefix), work)
            except ImmovableError as error:
                raise error.of(place, "another machine") from error
        elif bytecode and (bytecode / path).is_file():
            content = (bytecode / path).read_bytes()
        else:
            continue
        entry = Entry(
            path=path,
            executable=os.access(place, os.X_OK),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            moves=not path.endswith(".pyc") and NEUTRAL in content,
        )
        yield entry, content


def _walk(prefix: Path, *, packages: bool) -> Iterator[str]:
    """Yield the paths below ``prefix`` that an archive holds."""
    for folder, subfolders, files in os.walk(prefix):
        here = Path(folder).relative_to(prefix)
        # Scripts of packages name the Python that installed them, and are never run.
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
        run_step("rewrite byte-code", command, log, env=env, timeout=REWRITE_SECONDS)
