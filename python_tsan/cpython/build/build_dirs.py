"""Prepare the folders of one build, fill in the plan's placeholders, and clean the environment."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.artifact import writable
from python_tsan.cpython.plan import Placeholder
from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.cpython.compiler_cache.choose import CacheProgram
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.cpython.sources.provider import SourceTree
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain

# CPython's makefile and scripts name its folders without quotes; autoconf refuses much the same as "unsafe".
_UNBUILDABLE = re.compile(r"""[\s"'`$&;|<>()*?\[\]#%:\\]""")
# What was built elsewhere only has to be found: by the loader, whose folders a colon separates, and in Python literals.
_UNMOVABLE = re.compile(r"""[\n"'`$:\\]""")

# Each would change the compiler, configure, make or the new interpreter without a change of the plan.
FOREIGN_VARIABLES = frozenset(
    {
        *("CC", "CXX", "CPP", "CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "LIBS", "OPT", "BASECFLAGS"),
        *("EXTRA_CFLAGS", "CFLAGS_NODIST", "LDFLAGS_NODIST", "CONFIG_SITE"),
        *("MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKELEVEL", "DESTDIR"),
        *("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONSTARTUP"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "TSAN_OPTIONS", "SOURCE_DATE_EPOCH"),
    }
)


def refuse_unbuildable(root: Path) -> None:
    """Raise ``UsageError`` where CPython's own build would fail below ``root``, after minutes and unclearly."""
    _refuse(root, _UNBUILDABLE, "CPython cannot be built in")


def refuse_unmovable(root: Path) -> None:
    """Raise ``UsageError`` where an interpreter that was built elsewhere would not work below ``root``."""
    _refuse(root, _UNMOVABLE, "CPython cannot be moved to")


def _refuse(root: Path, unsupported: re.Pattern[str], what: str) -> None:
    if found := unsupported.search(str(root)):
        raise UsageError(
            f"{what} {root}: its makefile and scripts do not support {found[0]!r} in paths",
            advice="choose another cache folder with --cache or PYTHON_TSAN_CACHE",
            page="storage",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDirs:
    """The folders of one build, its logs, the values of the plan's placeholders, and the environment."""

    work: Path
    stage: Path
    final: Path
    logs: Path
    values: dict[Placeholder, str]
    env: dict[str, str]
    launcher: tuple[str, ...]

    @property
    def build(self) -> Path:
        """Where ``configure`` and ``make`` run."""
        return self.work / "build"

    @property
    def presets(self) -> Path:
        """Where configure's answers are preset."""
        return self.work / "presets"

    @property
    def staged(self) -> Path:
        """The finished prefix, before it is moved to its final place."""
        return self.stage / self.final.relative_to(self.final.anchor)


def prepare_dirs(
    plan: BuildPlan,
    tree: SourceTree,
    settings: Settings,
    *,
    toolchain: Toolchain,
    layout: Layout,
    cache: CacheProgram | None,
    work: Path,
) -> BuildDirs:
    """Make the folders of a build in ``work`` and return them with the values of the plan's placeholders.

    The path of ``work`` depends on the plan alone, so that what is configured there can be kept for the next build.
    """
    logs = layout.logs / plan.key
    shutil.rmtree(logs, ignore_errors=True)
    bytecode = layout.root / "bytecode" / tree.record.sha256[:16]
    for folder in (logs, layout.interpreters, bytecode):
        writable(folder)
    final = layout.interpreters / plan.key
    # A program left over from a killed build may still write into its own stage, by absolute path: never into ours.
    stage = work / f"stage-{os.getpid()}-{time.time_ns()}"
    candidate = toolchain.candidate
    compiler = str(candidate.cc)
    values = {
        # Relative, so that what is compiled does not depend on where the cache folder is.
        Placeholder.SOURCE: os.path.relpath(tree.path, work / "build"),
        Placeholder.PREFIX: str(final),
        Placeholder.STAGE: str(stage),
        Placeholder.CC: compiler,
        Placeholder.CXX: str(candidate.cxx or candidate.cc),
        Placeholder.COMPILE: f"{cache.path} {compiler}" if cache else compiler,
        Placeholder.JOBS: str(settings.jobs),
        Placeholder.PRESETS: str(work / "presets" / "config.site"),
        Placeholder.BYTECODE: str(bytecode),
    }
    return BuildDirs(
        work=work,
        stage=stage,
        final=final,
        logs=logs,
        values=values,
        env=build_environment(os.environ, cache),
        launcher=toolchain.launcher,
    )


def build_environment(base: Mapping[str, str], cache: CacheProgram | None) -> dict[str, str]:
    """Return ``base`` without what would change the build unseen, with the compiler cache's settings."""
    kept = {name: value for name, value in base.items() if name not in FOREIGN_VARIABLES}
    return {**kept, **(cache.env if cache else {}), "LC_ALL": "C.UTF-8"}
