"""Build the interpreter that the settings describe, unless it exists: source, plan, steps, checks, manifest.

What is built is decided by :mod:`..plan`; what a failure means, by :mod:`..diagnosis`.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import artifact
from python_tsan.cpython.build import configured, makefile
from python_tsan.cpython.build.build_dirs import BuildDirs, prepare_dirs, refuse_unbuildable
from python_tsan.cpython.build.configured_elsewhere import exchange_of
from python_tsan.cpython.build.inspection import describe_built
from python_tsan.cpython.build.presets import write_presets
from python_tsan.cpython.build.progress import CompileCounter, follow
from python_tsan.cpython.compiler_cache.choose import choose_cache, reported
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.integrity import seal, usable
from python_tsan.cpython.manifest import read_manifest
from python_tsan.cpython.moving import rewrite
from python_tsan.cpython.plan import BuildPlan, Placeholder, Step
from python_tsan.cpython.planning import make_plan
from python_tsan.cpython.sources.search import obtain_source, resolve_record
from python_tsan.errors import BuildError
from python_tsan.plain_text import duration
from python_tsan.toolchain.hints import headers_of, install_command, this_manager

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.console import Console, StepProgress
    from python_tsan.cpython.build.configured_elsewhere import Exchange
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.sources.provider import SourceTree
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain


def libc_identity() -> str:
    """Return the C library's name and version, such as ``glibc-2.36``; ``unknown`` where Python does not know."""
    name, version = platform.libc_ver()
    return f"{name}-{version}" if name else "unknown"


def plan_offline(settings: Settings, *, toolchain: Toolchain, layout: Layout) -> BuildPlan | None:
    """Return the plan for these settings, or None if the network has to decide which source they mean."""
    record = resolve_record(settings, layout)
    return make_plan(settings, record, toolchain, libc=libc_identity()) if record else None


def find_built(settings: Settings, *, toolchain: Toolchain, layout: Layout) -> Interpreter | None:
    """Return the finished interpreter for these settings, or None. Reads the cache only."""
    plan = plan_offline(settings, toolchain=toolchain, layout=layout)
    return read_manifest(layout.interpreters / plan.key) if plan else None


def build_interpreter(settings: Settings, *, toolchain: Toolchain, layout: Layout, console: Console) -> Interpreter:
    """Return the interpreter that the settings describe, building it unless it exists.

    Raises ``FetchError`` when the source is unavailable, ``BuildError`` when a step fails, ``UsageError`` when the
    settings contradict each other or the cache cannot be written.
    """
    known = None if settings.refresh else plan_offline(settings, toolchain=toolchain, layout=layout)
    if known and (found := usable(layout.interpreters / known.key, console)):
        console.note(_up_to_date(found))
        return found
    refuse_unbuildable(layout.root)
    tree = obtain_source(settings, layout=layout, console=console)
    plan = make_plan(settings, tree.record, toolchain, libc=libc_identity())
    built, made = artifact(
        layout.interpreters / plan.key,
        lambda work: _build(plan, tree, settings, toolchain=toolchain, layout=layout, console=console, work=work),
        key=plan.key,
        ready=lambda folder: usable(folder, console),
        layout=layout,
        console=console,
        refresh=settings.refresh,
    )
    if not made:
        console.note(_up_to_date(built))
        return built
    console.note(f"CPython {built.version} was built in {duration(built.seconds)}, in {built.prefix}")
    if built.missing_modules:
        console.note(f"Not built, as headers of their libraries are missing: {', '.join(built.missing_modules)}")
    if headers := headers_of(built.missing_modules):
        console.note(f"To add them, {install_command(headers, this_manager())}, and build again with --refresh")
    return built


def _up_to_date(found: Interpreter) -> str:
    when = found.built_at[:16].replace("T", " ")  # always UTC; the rest is seconds and fractions
    return f"CPython {found.version} is up to date: {found.key}, built at {when} UTC, in {found.prefix}"


def _build(
    plan: BuildPlan,
    tree: SourceTree,
    settings: Settings,
    *,
    toolchain: Toolchain,
    layout: Layout,
    console: Console,
    work: Path,
) -> Path:
    """Build in the folder ``work`` and return the finished prefix in it."""
    started = time.monotonic()
    cache = choose_cache(settings, toolchain=toolchain, layout=layout, env=os.environ, console=console)
    dirs = prepare_dirs(plan, tree, settings, toolchain=toolchain, layout=layout, cache=cache, work=work)
    console.note(
        f"Building CPython {plan.version} with {toolchain.name}{f' and {cache.name}' if cache else ''}: {plan.key}"
    )
    with reported(cache, os.environ, console), console.steps([step.name for step in plan.steps]) as progress:
        exchange = exchange_of(cache.remote if cache else None, plan, dirs, console)
        _configure(plan, dirs, layout, progress, exchange=exchange, refresh=settings.refresh)
        for step in plan.make:
            progress.start(step.name)
            _run(step, dirs, progress)
        progress.done()
    output = (dirs.logs / "compile.log").read_text(errors="replace")
    interpreter = replace(
        describe_built(plan, tree.record, toolchain, staged=dirs.staged, final=dirs.final),
        missing_modules=makefile.missing_modules((dirs.build / "Makefile").read_text(), output),
        seconds=round(time.monotonic() - started, 3),
        built_at=datetime.now(tz=UTC).isoformat(timespec="microseconds"),
    )
    seal(interpreter, dirs.staged)
    return dirs.staged


def _configure(
    plan: BuildPlan,
    dirs: BuildDirs,
    layout: Layout,
    progress: StepProgress,
    *,
    exchange: Exchange | None,
    refresh: bool,
) -> None:
    """Configure, or reuse what an earlier build of the same plan on a host like this found; then edit the Makefile."""
    lasting = (Placeholder.SOURCE, Placeholder.PREFIX, Placeholder.CC, Placeholder.CXX)
    values = {name: dirs.values[name] for name in lasting}
    saved = layout.root / "configured" / plan.key / configured.fingerprint(plan, values, dirs.env)
    progress.start(plan.configure.name)
    if refresh or not configured.restore(saved, dirs.build):
        if refresh or not (exchange and exchange.take(dirs.build)):
            dirs.build.mkdir()
            # Answer in bulk what can be, before configure asks one by one.
            write_presets(
                dirs.build / dirs.values[Placeholder.SOURCE] / "configure",
                dirs.presets,
                compiler=[dirs.values[Placeholder.CC], *plan.flags["cflags"].split()],
                linker=plan.flags["ldflags"].split(),
                env=dirs.env,
                jobs=int(dirs.values[Placeholder.JOBS]),
            )
            _run(plan.configure, dirs, progress)
            if exchange:
                exchange.give(dirs.build)
        configured.keep(dirs.build, saved)
    path = dirs.build / "Makefile"
    rewrite(path, os.fsencode(makefile.edited(os.fsdecode(path.read_bytes()), plan.edits)))


def _run(step: Step, dirs: BuildDirs, progress: StepProgress) -> None:
    log = dirs.logs / f"{step.name.replace(' ', '-')}.log"
    makefile_path = dirs.build / "Makefile"
    expected = makefile.count_objects(makefile_path.read_text()) if makefile_path.exists() else 1
    command = (*(dirs.launcher if step.instrumented else ()), *step.command(dirs.values))
    with follow(log, CompileCounter(expected), progress.advance):
        try:
            ended = process.run(command, cwd=dirs.build, env={**dirs.env, **step.environment(dirs.values)}, stdout=log)
        except OSError as error:
            raise BuildError(
                f"the step {step.name!r} cannot start: {command[0]}: {error.strerror}",
                advice="`python-tsan doctor` lists what a build needs and how to install it",
            ) from error
    if not ended.ok:
        raise step_error(step.name, ended, log)
