"""Own what the checks of where the GIL goes trace: a scenario of the harness, or an import by its interpreter."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.console import make_console
from python_tsan.gil.debugger import trace_with_debugger
from python_tsan.gil.library import build_tracer
from python_tsan.gil.preload import FRAMES_BY_API, trace_preloaded
from python_tsan.gil.trace import Engine, Trace
from python_tsan.paths import Layout, default_root

if TYPE_CHECKING:
    from python_tsan.checking.subjects import Bench


def trace_scenario(bench: Bench, name: str, *, packages: str = "") -> Trace:
    """Run the scenario ``name`` of the bench's harness under the preloaded tracer; one run serves every check.

    ``packages`` is put on the scenario's module path. Raises as :func:`trace_preloaded`, and ``BuildError`` or
    ``ToolchainError`` when the tracer cannot be built.
    """
    return _trace(bench.executable, bench.launcher, tuple(sorted(bench.variables.items())), name, packages)


@cache
def _trace(
    executable: Path, launcher: tuple[str, ...], variables: tuple[tuple[str, str], ...], name: str, packages: str
) -> Trace:
    library = build_tracer(layout=Layout(root=default_root()), console=make_console(quiet=True))
    with tempfile.TemporaryDirectory(prefix="python-tsan-gil-") as folder:
        report = str(Path(folder) / "report.json")
        options = ("--packages", packages) if packages else ()
        command = [*launcher, str(executable), "run", name, "--report", report, *options]
        return trace_preloaded(command, library=library, env=dict(variables))


def trace_import(bench: Bench, folder: Path, module: str, *, engine: Engine = Engine.PRELOAD) -> Trace:
    """Let the bench's interpreter import ``module`` from ``folder``, with its ``.pyc`` files there, and trace that.

    Raises as :func:`trace_preloaded` or :func:`trace_with_debugger`.
    """
    python = Path(bench.variables["PYTHONHOME"]) / "bin" / "python3"
    text = f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}"
    command = [*bench.launcher, str(python), "-S", "-c", text]
    without = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    env = {name: value for name, value in bench.variables.items() if name not in without}
    env[FRAMES_BY_API] = "1"  # shares nothing with how the debuggers read frames
    if engine is not Engine.PRELOAD:
        return trace_with_debugger(command, env=env, engine=engine)
    library = build_tracer(layout=Layout(root=default_root()), console=make_console(quiet=True))
    return trace_preloaded(command, library=library, env=env)
