"""Measure numpy's build under the sanitizer, as in the public guides and as in this project, in one run.

Both build the same source with the same compiler, the same options and no compiler cache, for the same interpreter.
"""

from __future__ import annotations

import os
import resource
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.config import CompilerCache
from python_tsan.cpython.build.build_dirs import build_environment
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.locks import CYTHON
from python_tsan.cpython.numpy.from_source import build_numpy, plan_for
from python_tsan.cpython.numpy.sdist import obtain_sdist
from python_tsan.cpython.numpy.source_plan import setup_options
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.tools import find_uv
from python_tsan.paths import Layout
from tools.bench.table import Row, Table, judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from python_tsan.cpython.numpy.source_plan import NumpyPlan
    from python_tsan.pipeline import Pipeline
    from tools.bench.order import Order

COLUMNS = ("what", "wall", "CPU", "of the guides", "at most", "met")
SHARE = 0.5
HOURS = 3600.0 * 3
# What numpy's requirements/build_requirements.txt lists, less its developers' own tools. One Cython for both ways.
REQUIREMENTS = ("meson-python>=0.18.0", f"cython=={CYTHON.version}", "ninja")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What something took: wall time, and processor time of everything that it started, in seconds."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s, {self.cpu:.1f} s of CPU"

    def __add__(self, other: Cost) -> Cost:
        return Cost(wall=self.wall + other.wall, cpu=self.cpu + other.cpu)


def tables(order: Order) -> Iterator[Table]:
    """Build numpy both ways, sequentially."""
    pipeline = order.pipeline
    version, toolchain = pipeline.interpreter.version, pipeline.toolchain.name
    yield judged(
        f"numpy under the sanitizer, for CPython {version}, by {toolchain}",
        COLUMNS,
        rows(pipeline, order.folder / "numpy"),
    )


def rows(pipeline: Pipeline, folder: Path) -> Iterator[Row]:
    """Build both ways below ``folder``, and yield a line for each step as it ends. Raises as the builds do."""
    plan = plan_for(pipeline.interpreter, pipeline.settings, pipeline.toolchain)
    archive = obtain_sdist(plan, pipeline.settings, layout=pipeline.layout, console=pipeline.console, env=os.environ)
    theirs = Cost(wall=0.0, cpu=0.0)
    for name, cost in _by_the_guides(pipeline, plan, archive, folder / "guides"):
        theirs += cost
        # Shown at once: what follows takes many minutes and may fail.
        pipeline.console.note(f"numpy as the guides build it: {name}: {cost}")
        yield _row(f"by the guides: {name}", cost)
    yield _row(f"numpy {plan.version} by the guides", theirs)
    ours = _by_us(pipeline, archive, folder / "ours")
    yield compared(f"numpy {plan.version} by us", ours, theirs)


def compared(what: str, ours: Cost, theirs: Cost) -> Row:
    """Return the line that says whether ours is within the limit, by processor time: other work disturbs it least.

    Of wall time the share is smaller yet where the machine is idle, for more of the guides' way uses one core only.
    """
    share = ours.cpu / theirs.cpu
    cost = f"{ours.wall / theirs.wall:.3f} x wall, {share:.3f} x CPU"
    return replace(_row(what, ours), cost=cost, limit=f"{SHARE} x CPU", met=share <= SHARE)


def _row(what: str, cost: Cost) -> Row:
    return Row(what=what, before=f"{cost.wall:.1f} s", measured=f"{cost.cpu:.1f} s")


def guide_commands(python: Path, archive: Path, plan: NumpyPlan, jobs: int) -> list[tuple[str, list[str]]]:
    """Return how https://py-free-threading.github.io/thread_sanitizer/ builds numpy, with our options in it."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    options = [f"-Csetup-args={option}" for option in setup_options(plan, source=None)]
    build = ["install", "--verbose", "--no-build-isolation", "--no-deps", f"-Ccompile-args=-j{jobs}", *options]
    return [("build requirements", [*pip, "install", *REQUIREMENTS]), ("build", [*pip, *build, str(archive)])]


def _by_the_guides(pipeline: Pipeline, plan: NumpyPlan, archive: Path, folder: Path) -> Iterator[tuple[str, Cost]]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    toolchain = pipeline.toolchain
    venv, candidate = folder / "venv", toolchain.candidate
    bin_ = venv / "bin"
    env = {**build_environment(os.environ, None), "TSAN_OPTIONS": BUILD_TSAN_OPTIONS, "CC": str(candidate.cc)}
    env |= {"CXX": str(candidate.cxx or candidate.cc), "PATH": f"{bin_}:{env['PATH']}"}
    # The guides' interpreter comes with pip, so putting it there is no part of the figures.
    seed = [str(find_uv()), "venv", "--quiet", "--seed", "--python", str(pipeline.interpreter.executable), str(venv)]
    _run("environment", [*toolchain.launcher, *seed], folder, env)
    for name, command in guide_commands(bin_ / "python", archive, plan, pipeline.settings.jobs):
        yield name, _run(name, [*toolchain.launcher, *command], folder, env)
    check = [str(bin_ / "python"), "-c", "import numpy"]
    _run("import", [*toolchain.launcher, *check], folder, env)
    shutil.rmtree(folder)


def _run(name: str, command: Sequence[str], folder: Path, env: dict[str, str]) -> Cost:
    log = folder.with_name(f"{folder.name}-{name.replace(' ', '-')}.log")
    ended = process.run(command, cwd=folder, env=env, stdout=log, timeout=HOURS)
    if not ended.ok:
        raise step_error(name, ended, log)
    return Cost(wall=ended.seconds, cpu=ended.cpu_seconds)


def _by_us(pipeline: Pipeline, archive: Path, folder: Path) -> Cost:
    """Build in a cache folder of its own that holds the source archive and nothing else: Cython is installed too."""
    shutil.rmtree(folder, ignore_errors=True)
    layout = Layout(root=folder)
    layout.downloads.mkdir(parents=True)
    shutil.copyfile(archive, layout.downloads / archive.name)
    settings = replace(
        pipeline.settings, cache=folder, compiler_cache=CompilerCache.OFF, compiler_cache_remote=None, refresh=False
    )
    before, started = _cpu_seconds(), time.monotonic()
    build_numpy(pipeline.interpreter, settings, toolchain=pipeline.toolchain, layout=layout, console=pipeline.console)
    cost = Cost(wall=time.monotonic() - started, cpu=_cpu_seconds() - before)
    shutil.rmtree(folder)
    return cost


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
