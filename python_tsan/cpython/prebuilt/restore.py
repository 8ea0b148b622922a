"""Own restoring an interpreter from an archive into the cache, under its content key, as if it had been built here.

Whether it may run here is decided by :mod:`.fitting`, before anything is unpacked.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan.artifact import discard, exclusive, sweep, work_folder, writable
from python_tsan.cpython.build.build_dirs import refuse_unmovable
from python_tsan.cpython.build.inspection import describe_built
from python_tsan.cpython.build.interpreter import libc_identity
from python_tsan.cpython.manifest import read_manifest, write_manifest
from python_tsan.cpython.moving import ImmovableError, settle
from python_tsan.cpython.numpy.from_source import plan_for
from python_tsan.cpython.planning import make_plan
from python_tsan.cpython.prebuilt.bundle import DamagedError, UnknownFormatError, UnsafeMember, open_bundle
from python_tsan.cpython.sources.download import download
from python_tsan.cpython.sources.provider import Unavailable
from python_tsan.cpython.sources.search import remember_restored
from python_tsan.cpython.sources.store import cache_errors, scratch
from python_tsan.errors import FetchError, UsageError
from python_tsan.plain_text import duration
from python_tsan.storage import sha256_of
from python_tsan.toolchain import choose_toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.cpython.prebuilt.bundle import Bundle, Contents
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain


def refusal(there: Mapping[str, Any], here: BuildPlan) -> str:
    """Say why an interpreter built by the plan ``there`` would not be the one that ``here`` builds; empty if it is.

    The content key covers all of a plan, so this is only asked what a person is told when the keys differ. The first
    cause that explains the others is the one that is named.
    """
    ours = json.loads(here.describe())
    return next(_causes(there, ours), "")


def machine_refusal(there: Mapping[str, Any], *, libc: str, architecture: str) -> str:
    """Say why an interpreter cannot run here whatever the compiler is; empty if it may."""
    processor = architecture_of(there)
    if processor != architecture:
        return f"it was built for {processor} processors, and this one is {architecture}"
    if there.get("libc") != libc:
        return f"it was built with {there.get('libc')}, and the C library here is {libc}"
    return ""


def architecture_of(plan: Mapping[str, Any]) -> str:
    """Return the processor that a plan's compiler builds for, such as ``x86_64``."""
    # clang 19.1.7 x86_64-pc-linux-gnu
    return str(plan.get("compiler", "")).rpartition(" ")[2].partition("-")[0]


def _causes(there: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    theirs = there.get("compiler")
    if theirs != ours["compiler"]:
        yield f"it was built with {theirs}, and the compiler here is {ours['compiler']}"
    if there.get("runtime_id") != ours["runtime_id"]:
        yield (
            f"the ThreadSanitizer runtime in it is {str(there.get('runtime_id'))[:12]}..., and that of {theirs} here "
            f"is {ours['runtime_id'][:12]}..., another build of it"
        )
    differing = [name for name in ours if name != "key" and there.get(name) != ours[name]]
    if differing:
        yield f"it was built in another way than this version of python-tsan builds here: {', '.join(differing)} differ"


PAGE = "prebuilt"
NEEDS = "an interpreter"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What the archive's interpreter is called here, by whom it is used, and the plan that it stands for."""

    key: str
    plan: BuildPlan
    toolchain: Toolchain


def restore_interpreter(
    origin: str, settings: Settings, *, layout: Layout, console: Console, sha256: str = ""
) -> Interpreter:
    """Return the interpreter in the archive ``origin``, a file or an address, restored into the cache.

    ``sha256`` is the archive's own hash, if it is known from elsewhere. Raises ``FetchError`` for an archive that
    cannot be had, is damaged or does not fit this machine, ``ToolchainError`` when its compiler is not here.
    """
    refuse_unmovable(layout.root)
    with _at_hand(origin, settings, layout, console) as archive:
        if sha256 and (found := sha256_of(archive)) != sha256.lower():
            raise _refused(archive, f"its SHA-256 is {found}, not {sha256.lower()}", "fetch it again")
        with _told(archive), open_bundle(archive) as bundle:
            target = _fit(bundle.contents, archive, settings, layout=layout, console=console)
            with exclusive(layout, target.key, console):
                restored = _restore(bundle, target, settings, layout=layout, console=console)
        if restored is None:
            restored = read_manifest(layout.interpreters / target.key)
    if restored is None:
        raise _refused(archive, "it vanished while it was restored", "try again")
    remember_restored(bundle.contents.source, settings, layout)
    return restored


@contextlib.contextmanager
def _at_hand(origin: str, settings: Settings, layout: Layout, console: Console) -> Iterator[Path]:
    """Give the archive as a file; one that was fetched is gone afterwards."""
    if "://" not in origin:
        path = Path(origin).expanduser()
        if not path.is_file():
            raise UsageError(f"there is no archive {path}", advice="name a file or an address", page=PAGE)
        yield path
        return
    with scratch(layout) as folder, console.steps(["download"]) as progress:
        path = folder / "archive.tar.zst"
        progress.start("download")
        try:
            download(origin, path, timeout=settings.timeout, progress=progress)
        except Unavailable as error:
            raise FetchError(
                f"the archive cannot be had: {error.reason}", advice="give a file instead", page=PAGE
            ) from error
        progress.done()
        yield path


@contextlib.contextmanager
def _told(archive: Path) -> Iterator[None]:
    try:
        yield
    except UnknownFormatError as error:
        raise _refused(archive, str(error), "make it again, with `build --export` of this version") from error
    except UnsafeMember as error:
        raise _refused(archive, str(error), "do not use this archive") from error
    except DamagedError as error:
        raise _refused(archive, str(error), "fetch or copy it again") from error


def _refused(archive: Path, reason: str, advice: str) -> FetchError:
    return FetchError(f"{archive.name} is refused: {reason}", evidence=archive, advice=advice, page=PAGE)


def _fit(contents: Contents, archive: Path, settings: Settings, *, layout: Layout, console: Console) -> _Target:
    """Return what would be built here in the archive's place, once it is the same."""
    advice = "use an archive that was made on a machine like this one, or `build` without --from"
    libc = libc_identity()
    if reason := machine_refusal(contents.plan, libc=libc, architecture=platform.machine()):
        raise _refused(archive, reason, advice)
    _refuse_other_version(contents, archive, settings)
    toolchain = choose_toolchain(settings.toolchain or contents.toolchain, layout=layout, console=console)
    meant = replace(settings, free_threaded=bool(contents.plan.get("free_threaded")))
    plan = make_plan(meant, contents.source, toolchain, libc=libc)
    if plan.key != contents.plan.get("key"):
        raise _refused(archive, refusal(contents.plan, plan) or "its key is not that of its plan", advice)
    if contents.key != plan.key and contents.key != plan_for(plan, meant, toolchain).key:
        raise _refused(archive, "the instrumented numpy in it is another one than this version builds", advice)
    return _Target(key=contents.key, plan=plan, toolchain=toolchain)


def _refuse_other_version(contents: Contents, archive: Path, settings: Settings) -> None:
    version = contents.source.version
    if settings.python and version != settings.python and not version.startswith(f"{settings.python}."):
        raise UsageError(
            f"{archive.name} holds CPython {version}, but {settings.python} was asked for",
            advice=f"leave --python out, or ask for {version}",
            page=PAGE,
        )


def _restore(
    bundle: Bundle,
    target: _Target,
    settings: Settings,
    *,
    layout: Layout,
    console: Console,
) -> Interpreter | None:
    """Unpack, check and move into place. None if it is there already."""
    started = time.monotonic()
    contents = bundle.contents
    final = layout.interpreters / target.key
    found = read_manifest(final)
    if found and not settings.refresh:
        console.note(f"CPython {found.version}: nothing to restore; {found.key} is in {found.prefix}.")
        return None
    sweep(layout)
    staged = work_folder(layout) / f"{target.key}~restored"
    discard(staged)
    try:
        interpreter = _put(bundle, target, staged, final, layout)
    finally:
        discard(staged)  # what was refused, or interrupted, leaves nothing
    packages = f" with numpy {contents.numpy}" if contents.numpy else ""
    console.note(
        f"CPython {interpreter.version}{packages}: {len(contents.files)} files restored and checked in "
        f"{duration(time.monotonic() - started)}, in {final}."
    )
    return interpreter


def _put(bundle: Bundle, target: _Target, staged: Path, final: Path, layout: Layout) -> Interpreter:
    """Unpack and check at ``staged``, and rename to ``final`` what has proved whole."""
    contents = bundle.contents
    with cache_errors(layout.work):
        writable(staged)
        writable(layout.interpreters)
        bundle.unpack(staged)
        _settle(contents, staged, final)
    interpreter = replace(
        describe_built(target.plan, contents.source, target.toolchain, staged=staged, final=final),
        key=target.key,
        missing_modules=contents.missing_modules,
        built_at=contents.built_at,
        seconds=contents.seconds,
    )
    with cache_errors(layout.interpreters):
        write_manifest(interpreter, staged)
        discard(final)
        staged.rename(final)
    return interpreter


def _settle(contents: Contents, staged: Path, final: Path) -> None:
    for entry in contents.files:
        if not entry.moves:
            continue
        place = staged / entry.path
        try:
            place.write_bytes(settle(place.read_bytes(), final))
        except ImmovableError as error:
            raise DamagedError(f"{entry.path} cannot be moved to {final}: {error}") from error
