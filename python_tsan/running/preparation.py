"""Open a session for a request: read its files, find the tools, inspect the program."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.build.interpreter import find_built, plan_offline
from python_tsan.cpython.manifest import built_differently, read_manifest
from python_tsan.cpython.numpy.from_source import find_with_numpy
from python_tsan.detect.registry import RECORDED
from python_tsan.errors import ToolchainError, UsageError
from python_tsan.preload_library import LOCK_RECORDER, build_library
from python_tsan.running.companion import obtain_companion
from python_tsan.running.preflight import prepare
from python_tsan.running.rules import read_rules, with_shipped
from python_tsan.running.session import Session
from python_tsan.toolchain import choose_toolchain
from python_tsan.tsan.options import parse_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.paths import Layout
    from python_tsan.running.preflight import Prepared
    from python_tsan.running.request import Request
    from python_tsan.toolchain.model import Toolchain


def open_session(
    request: Request, settings: Settings, *, layout: Layout, console: Console, env: Mapping[str, str]
) -> Session:
    """Return a session that can be run. What is wrong with the request is found here, before anything runs.

    Raises the errors of :func:`.rules.read_rules` and :func:`.preflight.prepare`.
    """
    theirs = parse_options(env.get("TSAN_OPTIONS", "")).values.get("suppressions", "")
    rules = read_rules(request, today=dt.datetime.now(tz=dt.UTC).date(), theirs=theirs)
    toolchain = _toolchain(settings, layout=layout, console=console)
    interpreter = find_interpreter(request.python, settings, toolchain=toolchain, layout=layout)
    if interpreter is None:
        console.note("no interpreter under ThreadSanitizer is built; a program that has its own needs none")
    prepared = prepare(
        request.command,
        cwd=Path(request.cwd),
        env=env,
        interpreter=interpreter,
        named=bool(request.python),
        children=request.children,
        detect=request.detect,
    )
    if request.confirm and "locks" not in prepared.detect:
        raise UsageError("--confirm is for possible deadlocks, which --detect leaves out")
    companion = obtain_companion(
        interpreter=prepared.interpreter,
        compiler=toolchain.candidate if toolchain else None,
        layout=layout,
        console=console,
    )
    recorder = _recorder(prepared, request, layout=layout, console=console)
    return Session(
        request=request,
        rules=with_shipped(rules, prepared.interpreter),
        prepared=prepared,
        toolchain=toolchain,
        companion=companion,
        recorder=recorder,
        output=settings.output,
        env=_without_suppressions(env),
        console=console,
    )


def _recorder(prepared: Prepared, request: Request, *, layout: Layout, console: Console) -> Path | None:
    """Return the lock recorder; None, with a warning, without a compiler for it, if something else is detected too."""
    if not RECORDED.intersection(prepared.detect):
        return None
    try:
        return build_library(LOCK_RECORDER, layout=layout, console=console)
    except ToolchainError as error:
        if request.detect or "races" not in prepared.detect:
            raise
        console.warn(f"possible deadlocks and calls of Python's C API are not judged: {error.message}")
        return None


def _without_suppressions(env: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's environment; its suppressions file is among the rules, and the runtime takes only one."""
    options = parse_options(env.get("TSAN_OPTIONS", ""))
    if "suppressions" not in options.values:
        return dict(env)
    kept = type(options)(values={name: value for name, value in options.values.items() if name != "suppressions"})
    return {**env, "TSAN_OPTIONS": str(kept)}


def _toolchain(settings: Settings, *, layout: Layout, console: Console) -> Toolchain | None:
    """Return the toolchain if there is one: a program that was built elsewhere runs without a compiler here."""
    try:
        return choose_toolchain(settings.toolchain, layout=layout, console=console)
    except ToolchainError:
        if settings.toolchain:
            raise
        return None


def find_interpreter(
    named: str, settings: Settings, *, toolchain: Toolchain | None, layout: Layout
) -> Interpreter | None:
    """Return the interpreter that ``named`` means: a folder or program with a manifest, else the built one.

    Raises :class:`UsageError` when it was named and is not there.
    """
    found = None
    if "/" in named:
        path = Path(named)  # the folder itself, or the program in its bin
        found = next(filter(None, map(read_manifest, (path, path.parent, path.parent.parent))), None)
    elif toolchain and settings.instrumented_numpy:
        plan = plan_offline(settings, toolchain=toolchain, layout=layout)
        found = find_with_numpy(plan, settings, toolchain=toolchain, layout=layout) if plan else None
    elif toolchain:
        found = find_built(settings, toolchain=toolchain, layout=layout)
    if found is None and named:
        more = " with an instrumented numpy" if settings.instrumented_numpy else ""
        verb = "install-numpy --instrumented-numpy" if settings.instrumented_numpy else "build"
        others = "" if "/" in named else built_differently(named, layout.interpreters)
        advice = f"`python-tsan {verb} --python VERSION` builds it; a path is that of its folder, with manifest.json"
        raise UsageError(
            f"there is no interpreter built under ThreadSanitizer{more}: {named}",
            advice=f"{advice}; {others}" if others else advice,
            page="no-interpreter",
        )
    return found
