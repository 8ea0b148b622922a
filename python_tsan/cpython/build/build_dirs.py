"""Own where one build takes place: its private folders, what a plan's places stand for there, its environment."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.artifact import discard, work_folder, writable
from python_tsan.cpython.plan import Place
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
# What was built elsewhere only has to be found: by the loader, whose folders a colon parts, and in Python literals.
_UNMOVABLE = re.compile(r"""[\n"'`$:\\]""")


def refuse_unbuildable(root: Path) -> None:
    """Raise ``UsageError`` where CPython's own build would fail below ``root``, after minutes and in odd words."""
    _refuse(root, _UNBUILDABLE, "CPython cannot be built in")


def refuse_unmovable(root: Path) -> None:
    """Raise ``UsageError`` where an interpreter that was built elsewhere would not work below ``root``."""
    _refuse(root, _UNMOVABLE, "CPython cannot be moved to")


def _refuse(root: Path, unfit: re.Pattern[str], what: str) -> None:
    if found := unfit.search(str(root)):
        raise UsageError(
            f"{what} {root}: its own makefile and scripts cannot bear {found[0]!r} in a path",
            advice="choose another cache folder with --cache or PYTHON_TSAN_CACHE",
            page="storage",
        )


# Each would change what the compiler, configure, make or the new interpreter do behind the plan's back.
FOREIGN_VARIABLES = frozenset(
    {
        "CC",
        "CXX",
        "CPP",
        "CFLAGS",
        "CPPFLAGS",
        "CXXFLAGS",
        "LDFLAGS",
        "LIBS",
        "OPT",
        "BASECFLAGS",
        "EXTRA_CFLAGS",
        "CFLAGS_NODIST",
        "LDFLAGS_NODIST",
        "CONFIG_SITE",
        "MAKEFLAGS",
        "MFLAGS",
        "GNUMAKEFLAGS",
        "MAKELEVEL",
        "DESTDIR",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONSTARTUP",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "TSAN_OPTIONS",
        "SOURCE_DATE_EPOCH",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where one build takes place: private folders, logs, what the plan's places stand for, and the environment."""

    work: Path
    stage: Path
    final: Path
    logs: Path
    places: dict[Place, str]
    env: dict[str, str]
    launcher: tuple[str, ...]

    @property
    def build(self) -> Path:
        """Where ``configure`` and ``make`` run."""
        return self.work / "build"

    @property
    def presets(self) -> Path:
        """Where configure's questions are answered in bulk."""
        return self.work / "presets"

    @property
    def staged(self) -> Path:
        """The finished prefix, before it is moved into place."""
        return self.stage / self.final.relative_to(self.final.anchor)


def prepare_site(
    plan: BuildPlan,
    tree: SourceTree,
    settings: Settings,
    *,
    toolchain: Toolchain,
    layout: Layout,
    cache: CacheProgram | None,
) -> Site:
    """Make the private folders of a build and fill in the plan's places.

    The build folder's path is the plan's own, so that what is configured there can be kept for the next build.
    """
    work = work_folder(layout) / plan.key
    discard(work)
    logs = layout.logs / plan.key
    shutil.rmtree(logs, ignore_errors=True)
    for folder in (work, logs, layout.interpreters, layout.root / "bytecode" / tree.record.sha256[:16]):
        writable(folder)
    final = layout.interpreters / plan.key
    # A program left over from a killed build may still write into its own stage, by absolute path: never into ours.
    stage = work / f"stage-{os.getpid()}-{time.time_ns()}"
    candidate = toolchain.candidate
    compiler = str(candidate.cc)
    places = {
        # Relative, so that what is compiled does not depend on where the cache folder is.
        Place.SOURCE: os.path.relpath(tree.path, work / "build"),
        Place.PREFIX: str(final),
        Place.STAGE: str(stage),
        Place.CC: compiler,
        Place.CXX: str(candidate.cxx or candidate.cc),
        Place.COMPILE: f"{cache.path} {compiler}" if cache else compiler,
        Place.JOBS: str(settings.jobs),
        Place.PRESETS: str(work / "presets" / "config.site"),
        Place.BYTECODE: str(layout.root / "bytecode" / tree.record.sha256[:16]),
    }
    return Site(
        work=work,
        stage=stage,
        final=final,
        logs=logs,
        places=places,
        env=build_environment(os.environ, cache),
        launcher=toolchain.launcher,
    )


def build_environment(base: Mapping[str, str], cache: CacheProgram | None) -> dict[str, str]:
    """Return ``base`` without what would change the build unseen, with the compiler cache's settings."""
    kept = {name: value for name, value in base.items() if name not in FOREIGN_VARIABLES}
    return {**kept, **(cache.env if cache else {}), "LC_ALL": "C.UTF-8"}
