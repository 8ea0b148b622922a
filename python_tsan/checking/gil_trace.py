"""Trace what the GIL checks examine: a scenario of the harness, or an import by its interpreter."""

from __future__ import annotations

import contextlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from python_tsan.console import make_console
from python_tsan.expectation import Lane
from python_tsan.gil.engine import BlindError, Settings
from python_tsan.gil.preload import FRAMES_BY_API, PRELOAD
from python_tsan.gil.registry import find_engine
from python_tsan.paths import Layout, default_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from python_tsan.checking.subjects import LaneSetup
    from python_tsan.gil.trace import Trace


def trace_scenario(setup: LaneSetup, name: str, *, packages: str = "") -> Trace:
    """Run the scenario ``name`` of the lane's harness under the preloaded tracer; one run serves every check.

    ``packages`` is added to the scenario's module path. Skips the check where the machine's Python cannot be traced.
    Raises as :meth:`~python_tsan.gil.engine.Engine.trace`.
    """
    with _blind_skips(setup):
        return _trace(setup.executable, setup.launcher, tuple(sorted(setup.variables.items())), name, packages)


@contextlib.contextmanager
def _blind_skips(setup: LaneSetup) -> Iterator[None]:
    """Skip the check if the stock Python of the fast lane cannot be traced, as Debian's; ours must be."""
    try:
        yield
    except BlindError as error:
        if setup.lane is not Lane.FAST:
            raise
        pytest.skip(error.message)


@cache
def _trace(
    executable: Path, launcher: tuple[str, ...], variables: tuple[tuple[str, str], ...], name: str, packages: str
) -> Trace:
    with tempfile.TemporaryDirectory(prefix="python-tsan-gil-") as folder:
        report = str(Path(folder) / "report.json")
        options = ("--packages", packages) if packages else ()
        command = [*launcher, str(executable), "run", name, "--report", report, *options]
        return _trace_with(PRELOAD, command, dict(variables))


def trace_import(setup: LaneSetup, folder: Path, module: str, *, engine: str = PRELOAD) -> Trace:
    """Trace how the lane's interpreter imports ``module`` from ``folder``, which has its ``.pyc`` files too.

    Skips the check where the machine's Python cannot be traced. Raises as :meth:`~python_tsan.gil.engine.Engine.trace`.
    """
    python = Path(setup.variables["PYTHONHOME"]) / "bin" / "python3"
    text = f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}"
    command = [*setup.launcher, str(python), "-S", "-c", text]
    without = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    env = {name: value for name, value in setup.variables.items() if name not in without}
    env[FRAMES_BY_API] = "1"  # shares no code with how the debuggers read frames
    with _blind_skips(setup):
        return _trace_with(engine, command, env)


def _trace_with(engine: str, command: Sequence[str], env: Mapping[str, str]) -> Trace:
    settings = Settings(layout=Layout(root=default_root()), console=make_console(quiet=True))
    return find_engine(engine, os.environ).trace(command, env=env, settings=settings)
