"""Trace what the GIL checks examine: a scenario of the harness, or an import by its interpreter."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.console import make_console
from python_tsan.gil.engine import Settings
from python_tsan.gil.preload import FRAMES_BY_API, PRELOAD
from python_tsan.gil.registry import find_engine
from python_tsan.paths import Layout, default_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.checking.subjects import LaneSetup
    from python_tsan.gil.trace import Trace


def trace_scenario(setup: LaneSetup, name: str, *, packages: str = "") -> Trace:
    """Run the scenario ``name`` of the lane's harness under the preloaded tracer; one run serves every check.

    ``packages`` is added to the scenario's module path. Raises as
    :meth:`~python_tsan.gil.engine.Engine.trace`.
    """
    return _trace(setup.executable, setup.launcher, tuple(sorted(setup.variables.items())), name, packages)


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

    Raises as :meth:`~python_tsan.gil.engine.Engine.trace`.
    """
    python = Path(setup.variables["PYTHONHOME"]) / "bin" / "python3"
    text = f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}"
    command = [*setup.launcher, str(python), "-S", "-c", text]
    without = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    env = {name: value for name, value in setup.variables.items() if name not in without}
    env[FRAMES_BY_API] = "1"  # shares no code with how the debuggers read frames
    return _trace_with(engine, command, env)


def _trace_with(engine: str, command: Sequence[str], env: Mapping[str, str]) -> Trace:
    settings = Settings(layout=Layout(root=default_root()), console=make_console(quiet=True))
    return find_engine(engine, os.environ).trace(command, env=env, settings=settings)
