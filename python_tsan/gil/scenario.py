"""Own tracing one of the harness's scenarios, for the checks that are about where the GIL goes."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.console import make_console
from python_tsan.gil.library import build_tracer
from python_tsan.gil.preload import trace_preloaded
from python_tsan.paths import Layout, default_root

if TYPE_CHECKING:
    from python_tsan.checking.subjects import Bench
    from python_tsan.gil.trace import Trace


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
