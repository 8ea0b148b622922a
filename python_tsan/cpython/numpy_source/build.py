"""Own building numpy from source: the steps, and the copy of the interpreter that numpy is put into.

Meson, ninja and Cython run on the Python that runs this; the instrumented interpreter answers one question about
itself. What is built is decided by :mod:`.plan`.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.compiler_cache import choose_cache, reported
from python_tsan.cpython.copying import copy_prefix
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.from_pypi import INSTALL_SECONDS
from python_tsan.cpython.locking import discard, exclusive, sweep, work_folder, writable
from python_tsan.cpython.locks import CYTHON
from python_tsan.cpython.numpy_source.placing import moved, place_numpy, site_of
from python_tsan.cpython.numpy_source.plan import TAGS, NumpyPlan, meson, plan_numpy, setup_command, wanted_targets
from python_tsan.cpython.numpy_source.sdist import obtain_sdist, unpack_sdist
from python_tsan.cpython.numpy_source.tools import obtain_cython, write_programs
from python_tsan.cpython.packages import complete
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.record import read_manifest, write_manifest
from python_tsan.cpython.site import build_environment
from python_tsan.cpython.uv import find_tool
from python_tsan.cpython.wanted import choose_numpy
from python_tsan.errors import BuildError
from python_tsan.plain_text import duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain

STEP_SECONDS = 3600.0
STEPS = ("numpy source", "numpy configure", "numpy compile", "numpy install", "numpy byte-code")
INSTALL_PLAN = "meson-info/intro-install_plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One build: its plan, where it takes place and what it runs."""

    plan: NumpyPlan
    base: Interpreter
    folder: Path
    logs: Path
    env: dict[str, str]
    toolchain: Toolchain

    def run(self, name: str, command: Sequence[str | Path], *, timeout: float = STEP_SECONDS) -> None:
        """Run one step in the build's folder. Raises ``BuildError``."""
        log = self.logs / f"{name.replace(' ', '-')}.log"
        ended = process.run(command, cwd=self.folder, env=self.env, stdout=log, timeout=timeout)
        if not ended.ok:
            raise step_error(name, ended, log)


def find_with_numpy(
    base: Interpreter | BuildPlan, settings: Settings, *, toolchain: Toolchain, layout: Layout
) -> Interpreter | None:
    """Return the copy of ``base``, built or only planned, with an instrumented numpy, or None. Reads the cache only."""
    plan = plan_for(base, settings, toolchain)
    return read_manifest(layout.interpreters / plan.key)


def plan_for(base: Interpreter | BuildPlan, settings: Settings, toolchain: Toolchain) -> NumpyPlan:
    """Return what is built into a copy of ``base``. Raises ``UsageError`` when no numpy is locked for it."""
    return plan_numpy(choose_numpy(base, settings), base.key, toolchain, tools=CYTHON.file.read_text(encoding="utf-8"))


def build_numpy(
    base: Interpreter, settings: Settings, *, toolchain: Toolchain, layout: Layout, console: Console
) -> Interpreter:
    """Return a copy of ``base`` with numpy built under the sanitizer, building it unless it is there.

    Raises ``FetchError`` when the source cannot be had, ``BuildError`` when a step fails or the result is not
    instrumented.
    """
    plan = plan_for(base, settings, toolchain)
    found = None if settings.refresh else read_manifest(layout.interpreters / plan.key)
    if found is None:
        with exclusive(layout, plan.key, console):
            found = None if settings.refresh else read_manifest(layout.interpreters / plan.key)
            if found is None:
                sweep(layout)
                return _build(plan, base, settings, toolchain=toolchain, layout=layout, console=console)
    console.note(f"numpy {plan.version}: nothing to build; it was built under the sanitizer in {found.prefix}.")
    return found


def _build(
    plan: NumpyPlan, base: Interpreter, settings: Settings, *, toolchain: Toolchain, layout: Layout, console: Console
) -> Interpreter:
    started = time.monotonic()
    archive = obtain_sdist(plan, settings, layout=layout, console=console, env=os.environ)
    cache = choose_cache(settings, toolchain=toolchain, layout=layout, env=os.environ, console=console)
    cython = obtain_cython(layout, console)
    job = _Job(
        plan=plan,
        base=base,
        folder=work_folder(layout) / plan.key,
        logs=writable(layout.logs / plan.key),
        env={**build_environment(os.environ, cache), "TSAN_OPTIONS": BUILD_TSAN_OPTIONS},
        toolchain=toolchain,
    )
    discard(job.folder)
    writable(job.folder)
    final, staged = layout.interpreters / plan.key, job.folder / "prefix"
    with reported(cache, os.environ, console), console.steps(list(STEPS)) as progress:
        progress.start(STEPS[0])
        source = unpack_sdist(archive, job.folder)
        progress.start(STEPS[1])
        write_programs(job.folder, base, toolchain=toolchain, cache=cache.path if cache else None, cython=cython)
        build = job.folder / "build"
        job.run(STEPS[1], [*toolchain.launcher, *setup_command([sys.executable], source, build, plan)])
        progress.start(STEPS[2])
        targets = wanted_targets((build / INSTALL_PLAN).read_bytes(), build)
        job.run(STEPS[2], [find_tool("ninja"), "-C", "build", f"-j{settings.jobs}", *targets])
        progress.start(STEPS[3])
        copy_prefix(base.prefix, staged, final)
        _install(job, source, staged)
        progress.start(STEPS[4])
        interpreter = moved(base, plan, final)
        inside = replace(interpreter, prefix=staged, executable=staged / base.executable.relative_to(base.prefix))
        complete(inside, plan.version, job.logs / "numpy-import.log", launcher=toolchain.launcher)
        progress.done()
    write_manifest(interpreter, staged)
    writable(layout.interpreters)
    discard(final)
    staged.rename(final)
    discard(job.folder)
    console.note(
        f"numpy {plan.version}: built under the sanitizer in {duration(time.monotonic() - started)}, without BLAS, in "
        f"{final}."
    )
    return interpreter


def _install(job: _Job, source: Path, staged: Path) -> None:
    """Let Meson install into a folder of its own, and take numpy from there into the copied interpreter."""
    out = job.folder / "out"
    command = [*meson([sys.executable], source), "install", "-C", "build", "--no-rebuild", "--destdir", out, "--tags"]
    job.run(STEPS[3], [*command, ",".join(TAGS)], timeout=INSTALL_SECONDS)
    site = site_of(job.base, staged)
    if not place_numpy(out, site, version=job.plan.version, metadata=source / "PKG-INFO"):
        raise BuildError("The numpy that was built is not instrumented.", evidence=job.logs)
