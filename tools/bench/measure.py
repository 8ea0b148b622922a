"""Make the measurements: fresh caches, the manual recipe, and this project's commands."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from python_tsan import process
from python_tsan.cpython.build.build_dirs import build_environment
from python_tsan.cpython.environment import clean_environment
from tools.bench.model import Measurement, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from python_tsan.toolchain.model import Toolchain

HOURS = 3600.0 * 3
MINUTE = 60.0
REDIS_PORT = "16379"
VERBS_OF_A_FULL_RUN = ("install-numpy", "build-harness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and on what to measure. ``source`` is the unpacked tree, ``archive`` what our own verbs are given."""

    folder: Path
    source: Path
    archive: Path
    toolchain: Toolchain
    jobs: int
    say: Callable[[str], None]

    @property
    def cache(self) -> Path:
        """Our own cache during the measurements, so that the user's stays as it is."""
        return self.folder / "cache"

    @property
    def logs(self) -> Path:
        """One log per command."""
        return self.folder / "logs"


class StepFailed(Exception):  # noqa: N818 -- becomes a line in the table, not an error of the run
    """A measured command failed; the text names its log."""


def measure(part: Part, bench: Bench) -> Measurement:  # noqa: PLR0911 -- one return per part
    """Make one measurement. One that fails is returned with the reason; the others can still be made."""
    bench.logs.mkdir(parents=True, exist_ok=True)
    try:
        match part:
            case Part.RECIPE:
                return _recipe(bench)
            case Part.COLD:
                return _cold(bench)
            case Part.WARM:
                return _warm(bench)
            case Part.SHARED:
                return _shared(bench)
            case Part.NOTHING:
                return _nothing(bench)
            case Part.SIZE:
                return _size(bench)
            case _:
                assert_never(part)
    except StepFailed as error:
        return Measurement(part=part, failed=str(error))


def recipe_commands(bench: Bench) -> list[tuple[str, list[str]]]:
    """Return the manual recipe that this project replaces, as named commands to be run in one folder."""
    prefix = bench.folder / "recipe" / "prefix"
    candidate = bench.toolchain.candidate
    configure = [
        str(bench.source / "configure"),
        f"--prefix={prefix}",
        f"CC={candidate.cc}",
        f"CXX={candidate.cxx}",
        "CFLAGS=-fsanitize=thread -g -O1 -fno-omit-frame-pointer",
        "LDFLAGS=-fsanitize=thread",
        "--disable-optimizations",
        "--with-pydebug",
        "--enable-shared",
    ]
    pip = [str(prefix / "bin" / "python3"), "-m", "pip", "install", "numpy"]
    return [
        ("configure", configure),
        ("make", ["make", f"-j{bench.jobs}"]),
        ("make install", ["make", "install"]),
        ("pip install numpy", pip),
    ]


def _recipe(bench: Bench) -> Measurement:
    folder = bench.folder / "recipe"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "build").mkdir(parents=True)
    # The recipe's interpreter has no rpath, and its pip may only use a package index, as ours does.
    env = {**build_environment(os.environ, None), "LD_LIBRARY_PATH": str(folder / "prefix" / "lib")}
    env["TSAN_OPTIONS"] = "report_bugs=0"
    result = _run_all(bench, Part.RECIPE, recipe_commands(bench), cwd=folder / "build", env=env)
    shutil.rmtree(folder)
    return result


def _cold(bench: Bench) -> Measurement:
    """Nothing cached but the source archive: what the recipe has too."""
    shutil.rmtree(bench.cache, ignore_errors=True)
    commands = [("install-numpy", _verb(bench, "install-numpy", "--compiler-cache", "install"))]
    return _run_all(bench, Part.COLD, commands, cwd=bench.folder, env=_our_environment())


def _warm(bench: Bench) -> Measurement:
    if not (bench.cache / "compiler-cache").is_dir():
        raise StepFailed(f"it follows {Part.COLD.value}, which has not been measured")
    for gone in ("interpreters", "work", "harnesses"):
        shutil.rmtree(bench.cache / gone, ignore_errors=True)
    commands = [("install-numpy", _verb(bench, "install-numpy", "--compiler-cache", "install"))]
    return _run_all(bench, Part.WARM, commands, cwd=bench.folder, env=_our_environment())


def _shared(bench: Bench) -> Measurement:
    """Measure a second machine: it has folders of its own, and a server that the first one has filled."""
    first, second = bench.folder / "first", bench.folder / "second"
    with _redis(bench) as url:
        for machine in (first, second):
            shutil.rmtree(machine, ignore_errors=True)
            machine.mkdir(parents=True)
            remote = ["--compiler-cache", "install", "--compiler-cache-remote", url]
            # The later --cache wins.
            command = _verb(bench, "install-numpy", *remote, "--cache", str(machine / "cache"))
            env = {**_our_environment(), "XDG_CACHE_HOME": str(machine), "HOME": str(machine)}
            result = _run_all(bench, Part.SHARED, [(machine.name, command)], cwd=machine, env=env)
    told = (bench.logs / f"{Part.SHARED.value}-second.log").read_text(encoding="utf-8", errors="replace")
    hits = next((line.strip() for line in told.splitlines() if "objects found" in line), "no objects found")
    for machine in (first, second):
        shutil.rmtree(machine)
    return replace(result, conditions=hits)


@contextlib.contextmanager
def _redis(bench: Bench) -> Iterator[str]:
    """Run a server on loopback, with what it holds in memory alone."""
    server = shutil.which("redis-server")
    if server is None:
        raise StepFailed("redis-server is not on PATH")
    bench.folder.mkdir(parents=True, exist_ok=True)
    start = [server, "--port", REDIS_PORT, "--bind", "127.0.0.1", "--save", "", "--daemonize", "yes"]
    if not process.run([*start, "--dir", bench.folder], timeout=MINUTE).ok:
        raise StepFailed("redis-server does not start")
    try:
        # A port that was in use is found out here: the other server has no such folder.
        where = process.run(["redis-cli", "-p", REDIS_PORT, "config", "get", "dir"], timeout=MINUTE)
        if str(bench.folder) not in where.stdout:
            raise StepFailed(f"port {REDIS_PORT} is in use")
        yield f"redis://127.0.0.1:{REDIS_PORT}"
    finally:
        process.run(["redis-cli", "-p", REDIS_PORT, "shutdown", "nosave"], timeout=MINUTE)


def _nothing(bench: Bench) -> Measurement:
    verbs = ("build", *VERBS_OF_A_FULL_RUN)
    commands = [(verb, _verb(bench, verb)) for verb in verbs]
    _run_all(bench, Part.NOTHING, commands, cwd=bench.folder, env=_our_environment())  # so that nothing is left to do
    return _run_all(bench, Part.NOTHING, commands, cwd=bench.folder, env=_our_environment())


def _size(bench: Bench) -> Measurement:
    """Size of the prefix without ``site-packages``, each file once, as the disk holds it."""
    prefixes = [path for path in (bench.cache / "interpreters").glob("*") if (path / "manifest.json").is_file()]
    if not prefixes:
        raise StepFailed(f"it follows {Part.COLD.value}, which has not been measured")
    return Measurement(part=Part.SIZE, bytes=prefix_size(prefixes[0]), conditions="without site-packages")


def prefix_size(prefix: Path) -> int:
    """Return the bytes that a prefix takes on the disk, numpy and what else is in ``site-packages`` left out."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, subfolders, files in os.walk(prefix):
        subfolders[:] = [name for name in subfolders if name != "site-packages"]
        for name in files:
            status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 -- as os.walk gives it
            sizes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def _verb(bench: Bench, verb: str, *arguments: str) -> list[str]:
    shared = ["--cache", str(bench.cache), "--source", str(bench.archive), "--toolchain", bench.toolchain.name]
    return [sys.executable, "-m", "python_tsan", verb, *shared, "--jobs", str(bench.jobs), *arguments]


def _our_environment() -> dict[str, str]:
    env = clean_environment(os.environ)
    # Found on PATH, a compiler cache would bring the user's own entries.
    return {name: value for name, value in env.items() if not name.startswith(("CCACHE_", "SCCACHE_"))}


def _run_all(
    bench: Bench, part: Part, commands: Sequence[tuple[str, list[str]]], *, cwd: Path, env: dict[str, str]
) -> Measurement:
    steps, cpu = {}, 0.0
    for name, command in commands:
        log = bench.logs / f"{part.value}-{name.replace(' ', '-')}.log"
        bench.say(f"{part.value}: {name}")
        started = time.monotonic()
        ended = process.run(command, cwd=cwd, env=env, stdout=log, timeout=HOURS)
        steps[name] = round(time.monotonic() - started, 2)
        cpu += ended.cpu_seconds
        if not ended.ok:
            raise StepFailed(f"{name} ended with exit code {ended.exit_code}; see {log}")
    return Measurement(part=part, seconds=round(sum(steps.values()), 2), cpu_seconds=round(cpu, 2), steps=steps)
