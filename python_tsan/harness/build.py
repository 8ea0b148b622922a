"""Build the harness unless an up-to-date one exists; what decides that is in :mod:`.plan`."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import artifact, writable
from python_tsan.binding import default_for
from python_tsan.cpython.compiler_cache.choose import choose_cache
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.manifest import write_manifest
from python_tsan.cpython.tools import find_tool
from python_tsan.errors import BuildError, PythonTsanError
from python_tsan.harness import cases
from python_tsan.harness.bindings import find_binding
from python_tsan.harness.plan import hash_sources, plan_harness
from python_tsan.harness.registry import Scenario, read_registry
from python_tsan.paths import native_folder
from python_tsan.storage import write_whole
from python_tsan.version import release_of
from python_tsan.versioned_json import Format

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from python_tsan.binding import Binding
    from python_tsan.config import Settings
    from python_tsan.console import Console, StepProgress
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.harness.plan import HarnessPlan
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain

PROGRAM = "python_tsan_harness"
# Libraries that scenarios preload, by the name that a scenario needs; they are in PROGRAM's folder.
PRELOADS = {"gil_counter": "libpython_tsan_gil_counter.so"}
RECORD_NAME = "harness.json"
SCHEMA = 1
CONFIGURE, COMPILE, LIST = "configure", "compile", "list scenarios"
STEP_SECONDS = 900.0
# CMake takes these from the environment, where no content key sees them.
_UNTRACKED = ("CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """A finished harness: its program, what it can show, and the interpreter that it embeds."""

    key: str
    executable: Path
    scenarios: tuple[Scenario, ...]
    interpreter: Interpreter
    binding: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What is kept with the program; written last, so that its presence means completeness."""

    schema: int = SCHEMA
    key: str
    scenarios: tuple[Scenario, ...]


_RECORDS = Format(kind=_Record, what="harness record", schema=SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One build: what is built, with what, and where."""

    plan: HarnessPlan
    interpreter: Interpreter
    toolchain: Toolchain
    binding: Binding
    jobs: int
    native: Path
    package: Path
    folder: Path
    logs: Path
    env: dict[str, str]
    launcher: Path | None

    @property
    def tree(self) -> Path:
        """CMake's build folder."""
        return self.folder / "build"


def build_harness(
    interpreter: Interpreter, settings: Settings, *, toolchain: Toolchain, layout: Layout, console: Console
) -> Harness:
    """Return the harness that embeds ``interpreter``; build it unless one with the same content key exists.

    Concurrent runs share one build. Raises ``BuildError`` with the end of the failed step's log, ``ToolchainError``
    when compiler and interpreter do not fit, ``UsageError`` when the cache cannot be written.
    """
    native = native_folder()
    binding = settings.binding or default_for(release_of(interpreter.version))
    plan = plan_harness(interpreter, toolchain=toolchain, binding=binding, native=native)
    name = f"harness-{plan.key}"
    if doubt := binding.doubt_about(interpreter.version):
        console.warn(f"{doubt}; it may not compile or not work with CPython {interpreter.version}")

    def fill(work: Path) -> Path:
        cache = choose_cache(settings, toolchain=toolchain, layout=layout, env=os.environ, console=console)
        job = _Job(
            plan=plan,
            interpreter=interpreter,
            toolchain=toolchain,
            binding=binding,
            jobs=settings.jobs,
            native=native,
            package=find_binding(binding, layout=layout, console=console),
            folder=work,
            logs=writable(layout.logs / name),
            env={name: value for name, value in os.environ.items() if name not in _UNTRACKED}
            | (cache.env if cache else {}),
            launcher=cache.path if cache else None,
        )
        return _build(job, console)

    harness, made = artifact(
        layout.harnesses / plan.key,
        fill,
        key=name,
        ready=lambda folder: _read(folder, plan, interpreter, binding),
        layout=layout,
        console=console,
        refresh=settings.refresh,
    )
    if not made:
        console.note(f"harness {plan.key}: up to date with its sources, compiler, interpreter and binding")
    return harness


def _read(folder: Path, plan: HarnessPlan, interpreter: Interpreter, binding: Binding) -> Harness | None:
    try:
        record = _RECORDS.load(folder / RECORD_NAME)
    except PythonTsanError:
        return None
    program = folder / PROGRAM
    programs = all(os.access(each, os.X_OK) for each in (program, folder / cases.PROGRAM))
    complete = programs and all((folder / name).is_file() for name in PRELOADS.values())
    if record.key != plan.key or not complete:
        return None
    return Harness(
        key=plan.key, executable=program, scenarios=record.scenarios, interpreter=interpreter, binding=binding
    )


def _build(job: _Job, console: Console) -> Path:
    """Build in the job's private folder; return the folder, inside it, that holds program and record."""
    job.tree.mkdir(parents=True)
    write_manifest(job.interpreter, job.folder)
    with console.steps([CONFIGURE, COMPILE, LIST]) as progress:
        _step(job, CONFIGURE, _configure_command(job), progress)
        _step(job, COMPILE, [find_tool("cmake"), "--build", job.tree, "--parallel", str(job.jobs)], progress)
        progress.start(LIST)
        scenarios = _list_scenarios(job)
        progress.done()
    now = hash_sources(job.native)
    changed = [name for name in sorted({*now, *job.plan.sources}) if now.get(name) != job.plan.sources.get(name)]
    if changed:  # the program would not match its key
        raise BuildError(
            f"The harness's sources changed during the build: {', '.join(changed)}",
            evidence=job.native,
            advice="run it again",
        )
    staged = job.folder / "staged"
    staged.mkdir()
    # The program finds its libraries in its own folder: those to preload, and a binding's extension modules.
    for path in (job.tree / PROGRAM, job.tree / cases.PROGRAM, *job.tree.glob("*.so")):
        shutil.move(path, staged / path.name)
    record = _Record(key=job.plan.key, scenarios=scenarios)
    write_whole(staged / RECORD_NAME, _RECORDS.encode(record))
    return staged


def _configure_command(job: _Job) -> list[str]:
    definitions = {
        "CMAKE_CXX_COMPILER": job.plan.compiler,
        "CMAKE_MAKE_PROGRAM": str(find_tool("ninja")),
        "PYTHON_TSAN_MANIFEST": str(job.folder / "manifest.json"),
        "PYTHON_TSAN_BINDING": job.binding.library.value,
        "PYTHON_TSAN_BINDING_PACKAGE": str(job.package),
    }
    if job.launcher:
        definitions["CMAKE_CXX_COMPILER_LAUNCHER"] = str(job.launcher)
    where = ("-S", str(job.native), "-B", str(job.tree))
    settings = (f"-D{name}={value}" for name, value in definitions.items())
    return [str(find_tool("cmake")), "--preset", job.plan.preset, *where, *settings]


def _step(job: _Job, name: str, command: Sequence[str | Path], progress: StepProgress) -> None:
    log = job.logs / f"{name}.log"
    progress.start(name)
    # A preset is looked up in the folder where CMake runs.
    ended = process.run(command, cwd=job.native, env=job.env, stdout=log, timeout=STEP_SECONDS)
    if not ended.ok:
        raise step_error(f"{name} the harness", ended, log)


def _list_scenarios(job: _Job) -> tuple[Scenario, ...]:
    """Ask the programs for their scenarios, which also proves that they start on this machine."""
    listed, log = _ask(job, PROGRAM, "--list=json")
    deadlocks, deadlocks_log = _ask(job, cases.PROGRAM)
    return (*read_registry(listed, source=log), *cases.read_cases(deadlocks, source=deadlocks_log))


def _ask(job: _Job, program: str, *arguments: str) -> tuple[str, Path]:
    """Return what a program prints, and the log that holds it."""
    log = job.logs / f"list-{program}.log"
    command: list[str | Path] = [*job.toolchain.launcher, job.tree / program, *arguments]
    ended = process.run(command, env=job.env | {"TSAN_OPTIONS": ""}, timeout=60)
    log.write_text(ended.stdout + ended.stderr, encoding="utf-8")
    if not ended.ok:
        raise step_error("list the harness's scenarios", ended, log)
    return ended.stdout, log
