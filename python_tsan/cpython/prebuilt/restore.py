"""Restore an interpreter from an archive into the cache, under its content key, as if it had been built here.

Whether it fits this machine is decided before anything is unpacked.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from python_tsan.artifact import artifact
from python_tsan.cpython.build.build_dirs import refuse_unmovable
from python_tsan.cpython.build.inspection import describe_built
from python_tsan.cpython.build.interpreter import libc_identity
from python_tsan.cpython.integrity import seal, usable
from python_tsan.cpython.moving import ImmovableError, settle
from python_tsan.cpython.numpy.from_source import plan_for
from python_tsan.cpython.planning import make_plan
from python_tsan.cpython.prebuilt.archive import ArchiveError, open_archive
from python_tsan.cpython.sources.download import download
from python_tsan.cpython.sources.local_source import is_requested
from python_tsan.cpython.sources.provider import Unavailable
from python_tsan.cpython.sources.search import remember_restored
from python_tsan.cpython.sources.store import cache_errors, scratch
from python_tsan.cpython.sources.unpack import UnsafeMember
from python_tsan.errors import FetchError, UsageError
from python_tsan.plain_text import counted, duration
from python_tsan.storage import expanded, sha256_of
from python_tsan.toolchain import choose_toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.cpython.prebuilt.archive import ArchiveReader, Contents
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain

PAGE = "prebuilt"


def restore_interpreter(
    origin: str, settings: Settings, *, layout: Layout, console: Console, sha256: str = ""
) -> Interpreter:
    """Return the interpreter in the archive ``origin``, a file or an address, restored into the cache.

    ``sha256`` is the archive's hash, if it is known from elsewhere. Raises ``FetchError`` for an archive that is
    unavailable, damaged or does not fit this machine, ``ToolchainError`` when its compiler is missing here.
    """
    refuse_unmovable(layout.root)
    with _as_file(origin, settings, layout, console) as archive:
        if sha256 and (found := sha256_of(archive)) != sha256.lower():
            raise _refused(archive, f"its SHA-256 is {found}, not {sha256.lower()}", "fetch it again")
        with _explained(archive), open_archive(archive) as reader:
            plan, toolchain = _fit(reader.contents, archive, settings, layout=layout, console=console)
            key = reader.contents.key
            interpreter, made = artifact(
                layout.interpreters / key,
                lambda work: _restore(reader, plan, toolchain, work, layout=layout, console=console),
                key=key,
                ready=lambda folder: usable(folder, console),
                layout=layout,
                console=console,
                refresh=settings.refresh,
            )
    if not made:
        console.note(f"CPython {interpreter.version} is up to date: {interpreter.key} is in {interpreter.prefix}")
    remember_restored(reader.contents.source, settings, layout)
    return interpreter


@contextlib.contextmanager
def _as_file(origin: str, settings: Settings, layout: Layout, console: Console) -> Iterator[Path]:
    """Give the archive as a file; one that was downloaded is deleted afterwards."""
    if "://" not in origin:
        path = expanded(origin)
        if not path.is_file():
            raise UsageError(f"there is no archive {path}", advice="name a file or an address", page=PAGE)
        if not os.access(path, os.R_OK):
            raise FetchError(f"cannot read {path}: {os.strerror(errno.EACCES)}", advice="see its mode", page=PAGE)
        yield path
        return
    with scratch(layout) as folder, console.steps(["download"]) as progress:
        path = folder / "archive.tar.zst"
        progress.start("download")
        try:
            download(origin, path, timeout=settings.network_timeout, progress=progress)
        except Unavailable as error:
            raise FetchError(
                f"the archive could not be downloaded: {error.reason}", advice="give a file instead", page=PAGE
            ) from error
        progress.done()
        yield path


@contextlib.contextmanager
def _explained(archive: Path) -> Iterator[None]:
    try:
        yield
    except UnsafeMember as error:
        raise _refused(archive, str(error), "do not use this archive") from error
    except ArchiveError as error:
        raise _refused(archive, str(error), error.advice) from error


def _refused(archive: Path, reason: str, advice: str) -> FetchError:
    return FetchError(f"{archive.name} is refused: {reason}", evidence=archive, advice=advice, page=PAGE)


def _fit(
    contents: Contents, archive: Path, settings: Settings, *, layout: Layout, console: Console
) -> tuple[BuildPlan, Toolchain]:
    """Return the plan of what would be built here instead of the archive, and its toolchain, once it is the same."""
    advice = "use an archive that was made on a machine like this one, or `build` without --from"
    libc = libc_identity()
    if reason := machine_refusal(contents.plan, libc=libc, architecture=platform.machine()):
        raise _refused(archive, reason, advice)
    version = contents.source.version
    if not is_requested(version, settings):
        raise UsageError(
            f"{archive.name} holds CPython {version}, but {settings.python} was requested",
            advice=f"drop --python, or request {version}",
            page=PAGE,
        )
    toolchain = choose_toolchain(settings.toolchain or contents.toolchain, layout=layout, console=console)
    fitting = replace(settings, free_threaded=bool(contents.plan.get("free_threaded")))
    plan = make_plan(fitting, contents.source, toolchain, libc=libc)
    if plan.key != contents.plan.get("key"):
        raise _refused(archive, refusal(contents.plan, plan) or "its key is not that of its plan", advice)
    if contents.key != plan.key and contents.key != plan_for(plan, fitting, toolchain).key:
        raise _refused(archive, "this version builds its instrumented numpy differently", advice)
    return plan, toolchain


def refusal(there: Mapping[str, Any], here: BuildPlan) -> str:
    """Say why an interpreter built by the plan ``there`` is not the one that ``here`` builds; empty if it is.

    The content key covers all of a plan, so this only explains keys that differ. The first cause that explains the
    others is named.
    """
    ours, theirs = json.loads(here.describe()), there.get("compiler")
    if theirs != ours["compiler"]:
        return f"it was built with {theirs}, and the compiler here is {ours['compiler']}"
    if there.get("runtime_id") != ours["runtime_id"]:
        return (
            f"its ThreadSanitizer runtime is {str(there.get('runtime_id'))[:12]}..., and that of {theirs} here is "
            f"{ours['runtime_id'][:12]}..., another build of it"
        )
    differing = [name for name in ours if name != "key" and there.get(name) != ours[name]]
    return f"this version of python-tsan builds it differently: {', '.join(differing)}" if differing else ""


def machine_refusal(there: Mapping[str, Any], *, libc: str, architecture: str) -> str:
    """Say why an interpreter cannot run here with any compiler; empty if it may."""
    # clang 19.1.7 x86_64-pc-linux-gnu
    processor = str(there.get("compiler", "")).rpartition(" ")[2].partition("-")[0]
    if processor != architecture:
        return f"it was built for {processor} processors, and this one is {architecture}"
    if there.get("libc") != libc:
        return f"it was built with {there.get('libc')}, and the C library here is {libc}"
    return ""


def _restore(
    reader: ArchiveReader, plan: BuildPlan, toolchain: Toolchain, work: Path, *, layout: Layout, console: Console
) -> Path:
    """Unpack into ``work``, check, and return the complete prefix."""
    started = time.monotonic()
    contents, staged = reader.contents, work / "prefix"
    final = layout.interpreters / contents.key
    interpreter = replace(unpack_checked(reader, plan, toolchain, staged, final), key=contents.key)
    with cache_errors(staged):
        seal(interpreter, staged)
    packages = f" with numpy {contents.numpy}" if contents.numpy else ""
    console.note(
        f"CPython {interpreter.version}{packages}: {counted(len(contents.files), 'file')} restored and checked in "
        f"{duration(time.monotonic() - started)}, in {final}"
    )
    return staged


def unpack_checked(
    reader: ArchiveReader, plan: BuildPlan, toolchain: Toolchain, staged: Path, final: Path
) -> Interpreter:
    """Unpack an archive into the new folder ``staged`` as if it were at ``final``, run it, and return its manifest.

    Raises as :meth:`ArchiveReader.unpack` does, and ``BuildError`` when the interpreter is not what ``plan`` says.
    """
    contents = reader.contents
    with cache_errors(staged):
        staged.mkdir(parents=True)
        reader.unpack(staged)
        for place in [staged / entry.path for entry in contents.files if entry.moves]:
            try:
                place.write_bytes(settle(place.read_bytes(), final))
            except ImmovableError as error:
                raise ArchiveError(f"{place.name} cannot be moved to {final}: {error}") from error
    return replace(
        describe_built(plan, contents.source, toolchain, staged=staged, final=final),
        missing_modules=contents.missing_modules,
        built_at=contents.built_at,
        seconds=contents.seconds,
    )
