"""Own carrying out a build plan: the lock, the private folder, the steps, the move into place, the manifest.

What is built is decided by :mod:`.plan`; what a failure means, by :mod:`.diagnosis`.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import discard, exclusive, sweep
from python_tsan.cpython.build import configured, makefile
from python_tsan.cpython.build.build_dirs import Site, prepare_site, refuse_unbuildable
from python_tsan.cpython.build.configured_elsewhere import exchange_of
from python_tsan.cpython.build.inspection import describe_built
from python_tsan.cpython.build.presets import write_presets
from python_tsan.cpython.build.progress import CompileCounter, follow
from python_tsan.cpython.compiler_cache.choose import choose_cache, reported
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.manifest import read_manifest, write_manifest
from python_tsan.cpython.plan import BuildPlan, Place, Step
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
    """Return the C library's name and version, such as ``glibc-2.36``; ``unknown`` where Python cannot tell."""
    name, version = platform.libc_ver()
    return f"{name}-{version}" if name else "unknown"


def plan_offline(settings: Settings, *, toolchain: Toolchain, layout: Layout) -> BuildPlan | None:
    """Return the plan that these settings lead to, or None if only the network can tell which source that is."""
    record = resolve_record(settings, layout)
    return make_plan(settings, record, toolchain, libc=libc_identity()) if record else None


def find_built(settings: Settings, *, toolchain: Toolchain, layout: Layout) -> Interpreter | None:
    """Return the finished interpreter for these settings, or None. Reads the cache only."""
    plan = plan_offline(settings, toolchain=toolchain, layout=layout)
    return read_manifest(layout.interpreters / plan.key) if plan else None


def build_interpreter(settings: Settings, *, toolchain: Toolchain, layout: Layout, console: Console) -> Interpreter:
    """Return the interpreter that the settings describe, building it unless it is there.

    Raises ``FetchError`` when the source cannot be had, ``BuildError`` when a step fails, ``UsageError`` when the
    settings contradict each other or the cache cannot be written.
    """
    found = None if settings.refresh else find_built(settings, toolchain=toolchain, layout=layout)
    if found:
        console.note(_why_nothing(found))
        return found
    refuse_unbuildable(layout.root)
    tree = obtain_source(settings, layout=layout, console=console)
    plan = make_plan(settings, tree.record, toolchain, libc=libc_identity())
    started = datetime.now(tz=UTC).isoformat()
    with exclusive(layout, plan.key, console) as waited:
        found = read_manifest(layout.interpreters / plan.key)
        # With --refresh, only what was built while this run waited is as fresh as wanted.
        if found and (not settings.refresh or (waited and found.built_at >= started)):
            console.note(_why_nothing(found))
            return found
        sweep(layout)
        return _build(plan, tree, settings, toolchain=toolchain, layout=layout, console=console)


def _why_nothing(found: Interpreter) -> str:
    when = found.built_at[:16].replace("T", " ")  # always UTC, to the microsecond, which nobody reads
    return f"CPython {found.version}: nothing to build; {found.key} was built at {when} UTC, in {found.prefix}."


def _build(
    plan: BuildPlan, tree: SourceTree, settings: Settings, *, toolchain: Toolchain, layout: Layout, console: Console
) -> Interpreter:
    started = time.monotonic()
    cache = choose_cache(settings, toolchain=toolchain, layout=layout, env=os.environ, console=console)
    site = prepare_site(plan, tree, settings, toolchain=toolchain, layout=layout, cache=cache)
    console.note(
        f"Building CPython {plan.version} with {toolchain.name}{f' and {cache.name}' if cache else ''}: {plan.key}"
    )
    with reported(cache, os.environ, console), console.steps([step.name for step in plan.steps]) as progress:
        exchange = exchange_of(cache.remote if cache else None, plan, site, console)
        _configure(plan, site, layout, progress, exchange=exchange, refresh=settings.refresh)
        for step in plan.make:
            progress.start(step.name)
            _run(step, site, progress)
        progress.done()
    interpreter = replace(
        describe_built(plan, tree.record, toolchain, staged=site.staged, final=site.final),
        missing_modules=_missing(site),
        seconds=round(time.monotonic() - started, 3),
        built_at=datetime.now(tz=UTC).isoformat(timespec="microseconds"),
    )
    _move_into_place(interpreter, site)
    discard(site.work)
    _report(interpreter, console)
    return interpreter


def _configure(
    plan: BuildPlan, site: Site, layout: Layout, progress: StepProgress, *, exchange: Exchange | None, refresh: bool
) -> None:
    """Configure, or take up what an earlier build of the same plan on a host like this found out; then edit."""
    lasting = {place: text for place, text in site.places.items() if place in _CONFIGURED_PLACES}
    saved = layout.root / "configured" / plan.key / configured.fingerprint(plan, lasting, site.env)
    progress.start(plan.configure.name)
    if refresh or not configured.restore(saved, site.build):
        if refresh or not (exchange and exchange.take(site.build)):
            site.build.mkdir()
            _preset(plan, site)
            _run(plan.configure, site, progress)
            if exchange:
                exchange.give(site.build)
        configured.keep(site.build, saved)
    path = site.build / "Makefile"
    times = path.stat()
    path.write_text(makefile.edited(path.read_text(), plan.edits))
    # As configure left it: a newer Makefile would make `make` generate what depends on it once more.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _preset(plan: BuildPlan, site: Site) -> None:
    """Answer in bulk what can be, before ``configure`` asks one by one."""
    write_presets(
        site.build / site.places[Place.SOURCE] / "configure",
        site.presets,
        compiler=[site.places[Place.CC], *plan.flags["cflags"].split()],
        linker=plan.flags["ldflags"].split(),
        env=site.env,
        jobs=int(site.places[Place.JOBS]),
    )


_CONFIGURED_PLACES = frozenset({Place.SOURCE, Place.PREFIX, Place.CC, Place.CXX})


def _run(step: Step, site: Site, progress: StepProgress) -> None:
    log = _log(step, site)
    makefile_path = site.build / "Makefile"
    expected = makefile.count_objects(makefile_path.read_text()) if makefile_path.exists() else 1
    command = (*(site.launcher if step.instrumented else ()), *step.command(site.places))
    with follow(log, CompileCounter(expected), progress.advance):
        try:
            ended = process.run(command, cwd=site.build, env={**site.env, **step.environment(site.places)}, stdout=log)
        except OSError as error:
            raise BuildError(
                f"The step {step.name!r} cannot start: {command[0]}: {error.strerror}.",
                advice="`python-tsan doctor` lists what a build needs and how to install it.",
            ) from error
    if not ended.ok:
        raise step_error(step.name, ended, log)


def _log(step: Step, site: Site) -> Path:
    return site.logs / f"{step.name.replace(' ', '-')}.log"


def _missing(site: Site) -> tuple[str, ...]:
    output = (site.logs / "compile.log").read_text(errors="replace")
    return makefile.missing_modules((site.build / "Makefile").read_text(), output)


def _move_into_place(interpreter: Interpreter, site: Site) -> None:
    """Complete the staged prefix with its manifest and give it its final name: it is there as a whole or not at all."""
    write_manifest(interpreter, site.staged)
    discard(site.final)
    site.staged.rename(site.final)


def _report(interpreter: Interpreter, console: Console) -> None:
    console.note(f"CPython {interpreter.version}: built in {duration(interpreter.seconds)}, in {interpreter.prefix}.")
    if interpreter.missing_modules:
        console.note(f"Not built, for want of their libraries' headers: {', '.join(interpreter.missing_modules)}.")
    if wanted := headers_of(interpreter.missing_modules):
        console.note(f"To have them, {install_command(wanted, this_manager())}, and build again with --refresh.")
