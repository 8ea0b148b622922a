"""Own building numpy from source: the steps, and the copy of the interpreter that numpy is put into.

Meson, ninja and Cython run on the Python that runs this; the instrumented interpreter answers one question about
itself. What is built is decided by :mod:`.plan`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.console import duration
from python_tsan.cpython.compiler_cache import choose_cache, reported
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.inspection import is_instrumented
from python_tsan.cpython.locking import discard, exclusive, sweep, work_folder, writable
from python_tsan.cpython.numpy_source.plan import (
    NumpyPlan,
    interpreter_script,
    meson,
    native_file,
    plan_numpy,
    setup_command,
)
from python_tsan.cpython.numpy_source.sdist import obtain_sdist, unpack_sdist
from python_tsan.cpython.packages import choose_numpy, complete, library_folder
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.prebuilt.copying import copy_prefix
from python_tsan.cpython.record import read_manifest, write_manifest
from python_tsan.cpython.site import build_environment
from python_tsan.cpython.uv import find_tool, uv_install
from python_tsan.errors import BuildError

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
INSTALL_SECONDS = 300.0
STEPS = ("numpy source", "numpy configure", "numpy compile", "numpy install", "numpy byte-code")
# Neither tests nor what only they need.
_TAGS = "runtime,python-runtime,devel"


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
    tools = (resources.files("python_tsan.cpython") / "locks" / "cython.txt").read_text(encoding="utf-8")
    return plan_numpy(choose_numpy(base, settings), base.key, toolchain, tools=tools)


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
    cython = _cython(layout, console)
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
        (job.folder / "native.ini").write_text(_programs(job, cache.path if cache else None, cython), encoding="utf-8")
        job.run(STEPS[1], [*toolchain.launcher, *setup_command([sys.executable], source, job.folder / "build", plan)])
        progress.start(STEPS[2])
        job.run(STEPS[2], [find_tool("ninja"), "-C", "build", f"-j{settings.jobs}"])
        progress.start(STEPS[3])
        copy_prefix(base.prefix, staged, final)
        _install(job, source, staged)
        progress.start(STEPS[4])
        interpreter = _moved(base, plan, final)
        inside = replace(interpreter, prefix=staged, executable=staged / base.executable.relative_to(base.prefix))
        complete(inside, plan.version, job.logs / "numpy-import.log", launcher=toolchain.launcher)
        progress.done()
    write_manifest(interpreter, staged)
    discard(final)
    staged.rename(final)
    discard(job.folder)
    console.note(
        f"numpy {plan.version}: built under the sanitizer in {duration(time.monotonic() - started)}, without BLAS, in "
        f"{final}."
    )
    return interpreter


def _cython(layout: Layout, console: Console) -> Path:
    """Return the folder that holds Cython, installed from PyPI by its lock unless it is there."""
    with resources.as_file(resources.files("python_tsan.cpython") / "locks" / "cython.txt") as lock:
        folder = (
            layout.root / "tools" / f"cython-{lock.stat().st_size}-{sys.version_info.major}{sys.version_info.minor}"
        )
        if folder.is_dir():
            return folder
        console.note("Installing Cython from PyPI.")
        log = writable(layout.logs / "tools") / "cython.log"
        partial = folder.with_name(f".{folder.name}-{os.getpid()}")
        ended = process.run(
            [*uv_install(lock), "--target", partial, "--python", sys.executable], stdout=log, timeout=INSTALL_SECONDS
        )
    if not ended.ok:
        shutil.rmtree(partial, ignore_errors=True)
        raise step_error("install cython", ended, log)
    if not folder.is_dir():
        partial.rename(folder)
    return folder


def _programs(job: _Job, cache: Path | None, cython: Path) -> str:
    """Write the programs that stand for others, and return Meson's description of all."""
    target = [*job.toolchain.launcher, str(job.base.executable)]
    python = _script(job.folder / "python", interpreter_script(target=target, host=[sys.executable]))
    compiler = _script(job.folder / "cython", f'#!/bin/sh\nPYTHONPATH={cython} exec {sys.executable} -m cython "$@"\n')
    candidate, cached = job.toolchain.candidate, [str(cache)] if cache else []
    return native_file(
        {
            "c": [*cached, str(candidate.cc)],
            "cpp": [*cached, str(candidate.cxx or candidate.cc)],
            "python": [str(python)],
            "cython": [str(compiler)],
            "ninja": [str(find_tool("ninja"))],
        }
    )


def _script(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def _install(job: _Job, source: Path, staged: Path) -> None:
    """Let Meson install into a folder of its own, and take numpy from there into the copied interpreter."""
    out = job.folder / "out"
    command = [*meson([sys.executable], source), "install", "-C", "build", "--no-rebuild", "--destdir", out, "--tags"]
    job.run(STEPS[3], [*command, _TAGS], timeout=INSTALL_SECONDS)
    made = next(out.glob("lib*/**/site-packages/numpy"), None)
    core = None if made is None else next(made.glob("_core/_multiarray_umath*.so"), None)
    if made is None or core is None or not is_instrumented(core):
        raise BuildError("The numpy that was built is not instrumented.", evidence=job.logs)
    site = library_folder(replace(job.base, prefix=staged)) / "site-packages"
    writable(site)
    made.rename(site / "numpy")
    record = site / f"numpy-{job.plan.version}.dist-info"
    record.mkdir()
    shutil.copyfile(source / "PKG-INFO", record / "METADATA")
    (record / "INSTALLER").write_text("python-tsan\n", encoding="utf-8")


def _moved(base: Interpreter, plan: NumpyPlan, final: Path) -> Interpreter:
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
