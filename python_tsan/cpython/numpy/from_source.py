"""Build numpy from its source under the sanitizer, into a copy of the interpreter that has a key of its own.

Meson, ninja and Cython run on the Python that runs this; the instrumented interpreter answers one question about
itself. What is built is decided by :mod:`.source_plan`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_tsan.artifact import artifact, writable
from python_tsan.cpython.build.build_dirs import build_environment
from python_tsan.cpython.build.inspection import is_instrumented
from python_tsan.cpython.compiler_cache.choose import choose_cache, reported
from python_tsan.cpython.diagnosis import run_step
from python_tsan.cpython.integrity import seal, usable
from python_tsan.cpython.locks import CYTHON
from python_tsan.cpython.manifest import read_manifest
from python_tsan.cpython.moving import copy_prefix
from python_tsan.cpython.numpy.sdist import obtain_sdist, unpack_sdist
from python_tsan.cpython.numpy.source_plan import (
    TAGS,
    NumpyPlan,
    interpreter_script,
    meson,
    native_file,
    needed_targets,
    plan_numpy,
    setup_command,
)
from python_tsan.cpython.numpy.wheel import choose_numpy, complete
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.tools import INSTALL_SECONDS, find_tool, install_tool, lock_slug
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
    """One build: its folder and how its steps run."""

    folder: Path
    logs: Path
    env: dict[str, str]

    def run(self, name: str, command: Sequence[str | Path], *, timeout: float = STEP_SECONDS) -> None:
        """Run one step in the build's folder. Raises ``BuildError``."""
        log = self.logs / f"{name.replace(' ', '-')}.log"
        run_step(name, command, log, cwd=self.folder, env=self.env, timeout=timeout)


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
    """Return a copy of ``base`` with numpy built under the sanitizer, building it unless it exists.

    Raises ``FetchError`` when the source is unavailable, ``BuildError`` when a step fails or the result is not
    instrumented.
    """
    plan = plan_for(base, settings, toolchain)
    found, made = artifact(
        layout.interpreters / plan.key,
        lambda work: _build(plan, base, settings, toolchain=toolchain, layout=layout, console=console, work=work),
        key=plan.key,
        ready=lambda folder: usable(folder, console),
        layout=layout,
        console=console,
        refresh=settings.refresh,
    )
    if not made:
        console.note(f"numpy {plan.version} is up to date: built under the sanitizer in {found.prefix}")
    return found


def _build(
    plan: NumpyPlan,
    base: Interpreter,
    settings: Settings,
    *,
    toolchain: Toolchain,
    layout: Layout,
    console: Console,
    work: Path,
) -> Path:
    started = time.monotonic()
    archive = obtain_sdist(plan, settings, layout=layout, console=console, env=os.environ)
    cache = choose_cache(settings, toolchain=toolchain, layout=layout, env=os.environ, console=console)
    cython = obtain_cython(layout, console)
    job = _Job(
        folder=work,
        logs=writable(layout.logs / plan.key),
        env={**build_environment(os.environ, cache), "TSAN_OPTIONS": BUILD_TSAN_OPTIONS},
    )
    final, staged, build = layout.interpreters / plan.key, work / "prefix", work / "build"
    with reported(cache, os.environ, console), console.steps(list(STEPS)) as progress:
        progress.start(STEPS[0])
        source = unpack_sdist(archive, work)
        progress.start(STEPS[1])
        write_programs(work, base, toolchain=toolchain, cache=cache.path if cache else None, cython=cython)
        job.run(STEPS[1], [*toolchain.launcher, *setup_command([sys.executable], source, build, plan)])
        progress.start(STEPS[2])
        targets = needed_targets((build / INSTALL_PLAN).read_bytes(), build)
        job.run(STEPS[2], [find_tool("ninja"), "-C", "build", f"-j{settings.jobs}", *targets])
        progress.start(STEPS[3])
        copy_prefix(base.prefix, staged, final)
        out, site = work / "out", replace(base, prefix=staged).standard_library / "site-packages"
        install = ["install", "-C", "build", "--no-rebuild", "--destdir", str(out), "--tags", ",".join(TAGS)]
        job.run(STEPS[3], [*meson([sys.executable], source), *install], timeout=INSTALL_SECONDS)
        if not place_numpy(out, site, version=plan.version, metadata=source / "PKG-INFO"):
            raise BuildError("the numpy that was built is not instrumented", evidence=job.logs)
        progress.start(STEPS[4])
        interpreter = moved(base, plan, final)
        inside = replace(interpreter, prefix=staged, executable=staged / base.executable.relative_to(base.prefix))
        complete(inside, plan.version, job.logs / "numpy-import.log", launcher=toolchain.launcher)
        progress.done()
    seal(interpreter, staged)
    console.note(
        f"numpy {plan.version} was built under the sanitizer in {duration(time.monotonic() - started)}, without BLAS, "
        f"in {final}"
    )
    return staged


def obtain_cython(layout: Layout, console: Console) -> Path:
    """Return the folder that holds Cython, compiled for this Python. Raises ``BuildError`` if it is unavailable."""
    slug = f"{lock_slug(CYTHON)}-py{sys.version_info.major}{sys.version_info.minor}"
    return install_tool(slug, CYTHON.file.read_text(encoding="utf-8"), layout=layout, console=console)


def write_programs(folder: Path, base: Interpreter, *, toolchain: Toolchain, cache: Path | None, cython: Path) -> None:
    """Write wrapper scripts into ``folder``, and ``native.ini``, which names all programs to Meson."""
    target = [*toolchain.launcher, str(base.executable)]
    python = _script(folder / "python", interpreter_script(target=target, host=[sys.executable]))
    compiler = _script(folder / "cython", f'#!/bin/sh\nPYTHONPATH={cython} exec {sys.executable} -m cython "$@"\n')
    candidate, cached = toolchain.candidate, [str(cache)] if cache else []
    described = native_file(
        {
            "c": [*cached, str(candidate.cc)],
            "cpp": [*cached, str(candidate.cxx or candidate.cc)],
            "python": [str(python)],
            "cython": [str(compiler)],
            "ninja": [str(find_tool("ninja"))],
        }
    )
    (folder / "native.ini").write_text(described, encoding="utf-8")


def _script(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def place_numpy(installed: Path, site: Path, *, version: str, metadata: Path) -> bool:
    """Move numpy from below ``installed`` into ``site``, with its record; False when it is not instrumented."""
    made = next(installed.glob("lib*/**/site-packages/numpy"), None)
    core = None if made is None else next(made.glob("_core/_multiarray_umath*.so"), None)
    if made is None or core is None or not is_instrumented(core):
        return False
    writable(site)
    made.rename(site / "numpy")
    record = site / f"numpy-{version}.dist-info"
    record.mkdir()
    shutil.copyfile(metadata, record / "METADATA")
    (record / "INSTALLER").write_text("python-tsan\n", encoding="utf-8")
    return True


def moved(base: Interpreter, plan: NumpyPlan, final: Path) -> Interpreter:
    """Return the manifest of the copy of ``base`` that has this numpy and is at ``final``."""

    def at(path: Path) -> Path:
        return final / path.relative_to(base.prefix)

    return replace(
        base,
        key=plan.key,
        prefix=final,
        executable=at(base.executable),
        library=at(base.library),
        include=at(base.include),
        built_at=datetime.now(tz=UTC).isoformat(timespec="microseconds"),
    )
