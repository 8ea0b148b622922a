"""Measure the scan of imports: real packages, generated trees of growing size, and the cost of tracing."""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.tools import uv_pip
from python_tsan.imports.confirm import prove
from python_tsan.imports.model.building import model_of
from python_tsan.imports.model.interpreter import CASES, identify
from python_tsan.imports.model.probe import PUBLIC_MODULES, Probe
from python_tsan.imports.scan import CORES, scan
from python_tsan.plain_text import counted
from tools.bench.table import Row, Table, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tools.bench.order import Order

COLUMNS = ("what", "before", "measured", "against", "at most", "met")
INSTALL_SECONDS = 900.0
PACKAGES = ("numpy", "pandas", "scipy")
SCANS = ((("numpy",), 5.0), (("pandas", "scipy"), 30.0))
PACKAGE_SCANS = ((("numpy",), 5.0), (("pandas", "scipy"), 60.0))
SIZES = (10, 50, 500, 5000)
# Time grows as modules to this power; 1 is linear, and 2 would be quadratic.
MOST_EXPONENT = 1.25
MOST_TRACING = 1.30
MOST_CONFIRM = 1.0
REPEATS = 9


def tables(order: Order) -> Iterator[Table]:
    """Measure the scan with what is installed below the order's folder."""
    folder = order.folder / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    yield judged("the scan of imports", COLUMNS, rows(folder, order.say))


def rows(folder: Path, say: Callable[[str], None], python: str = sys.executable) -> Iterator[Row]:
    """Measure on ``python`` with packages installed below ``folder``, where they stay for the next time."""
    site = folder / f"packages-{identify([python]).text}"
    if not site.is_dir():
        say(f"installing {', '.join(PACKAGES)} into {site}")
        _install(python, site)
    probe = Probe(python=identify([python]), path=(site,), bytecode=folder / "bytecode")
    for entries, limit in SCANS:
        yield _scan_row(probe, f"scan {' '.join(entries)}", entries, limit)
    for packages, limit in PACKAGE_SCANS:
        modules = [name for offer in probe.public_modules(packages, limit=PUBLIC_MODULES) for name in offer.modules]
        yield _scan_row(probe, f"scan --package {' '.join(packages)}", modules, limit)
    yield _tracing_row(probe, "pandas")
    yield from _growth(replace(probe, path=()), say)
    yield _confirm_row(replace(probe, path=()))


def _install(python: str, site: Path) -> None:
    work = site.with_suffix(".part")
    command = uv_pip("--python", python, "--target", work, *PACKAGES)
    log = site.with_suffix(".log")
    ended = process.run(command, stdout=log, timeout=INSTALL_SECONDS)
    if not ended.ok:
        raise step_error("install the packages that are scanned", ended, log)
    work.rename(site)


def _scan_row(probe: Probe, command: str, entries: Sequence[str], limit: float) -> Row:
    calls = "--package" not in command  # as the verb does
    model_of(probe, entries, jobs=CORES, calls=calls)  # writes the bytecode, as an installation mostly does
    begun = time.monotonic()
    found = scan(probe, entries, calls=calls)
    seconds = time.monotonic() - begun
    return _limited(
        f"{command}: {counted(len(entries), 'entry')}, {counted(len(found.calls), 'call')}, "
        f"{counted(found.modules, 'module')}",
        seconds,
        limit,
    )


def _limited(what: str, seconds: float, limit: float) -> Row:
    return Row(what=what, measured=f"{seconds:.2f} s", limit=f"{limit:g} s", met=seconds <= limit)


def _tracing_row(probe: Probe, module: str) -> Row:
    """Compare a fresh process that imports ``module`` with one that is traced while it does, in turn."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CASES), *map(str, probe.path)])}
    env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(probe.bytecode)
    plain = [*probe.python.command, "-c", f"import {module}"]
    traced = [*probe.python.command, "-m", "import_cases.probe", "trace", module]
    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(REPEATS + 1):
        for is_traced, command in ((False, plain), (True, traced)):
            ended = process.run(command, env=env, timeout=INSTALL_SECONDS)
            if turn:
                times[is_traced].append(ended.cpu_seconds)
    before, after = statistics.median(times[False]), statistics.median(times[True])
    return Row(
        what=f"fresh import of {module}, CPU time, median of {REPEATS}",
        before=f"{before:.2f} s",
        measured=f"{after:.2f} s traced",
        cost=f"{after / before:.2f} x",
        limit=f"{MOST_TRACING:g} x",
        met=after / before <= MOST_TRACING,
    )


def _growth(probe: Probe, say: Callable[[str], None]) -> Iterator[Row]:
    """Scan trees of growing size; the exponent is the slope of time over modules, both as logarithms."""
    points: list[tuple[int, float]] = []
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as name:
            say(f"scanning a tree of {size} modules")
            entries = write_tree(Path(name), size)
            tree = replace(probe, path=(Path(name),), bytecode=Path(name, "bytecode"))
            scan(tree, entries)
            begun = time.monotonic()
            found = scan(tree, entries)
            points.append((found.modules, time.monotonic() - begun))
        modules, seconds = points[-1]
        hazards = len(found.findings)
        yield Row(
            what=f"scan of a tree of {modules} modules, {counted(hazards, 'hazard')}",
            measured=f"{seconds:.2f} s",
            cost=f"{seconds / modules * 1000:.2f} ms a module",
        )
    # The start of two interpreters is most of what a small tree costs.
    exponent = slope([(modules, seconds) for modules, seconds in points if modules >= SIZES[-2]])
    yield Row(
        what=f"growth from {SIZES[-2]} to {SIZES[-1]} modules",
        measured=f"modules to the power {exponent:.2f}",
        limit=f"{MOST_EXPONENT:g}",
        met=exponent <= MOST_EXPONENT,
    )


def write_tree(folder: Path, size: int) -> tuple[str, str]:
    """Write packages of ten modules, each a barrel that takes from the package before, and return two entries.

    The second entry begins with modules of three packages that the first reaches through their barrels.
    """
    for package in range(math.ceil(size / 10)):
        home = folder / f"w{package}"
        home.mkdir()
        lower = f"import w{package - 1}\n" if package % 20 else ""
        names = [f"m{number}" for number in range(min(9, size - 1))]
        (home / "__init__.py").write_text(lower + "".join(f"from .{name} import V\n" for name in names))
        for name in names:
            (home / f"{name}.py").write_text("import os\n\nV = 1\n")
    packages = range(math.ceil(size / 10))
    everything = "".join(f"import w{package}\n" for package in packages)
    crossing = "".join(f"import w{package}.m1\n" for package in packages[-3:])
    (folder / "one.py").write_text(everything)
    (folder / "two.py").write_text(crossing + everything)
    return "one", "two"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the exponent of a power law through the points, by least squares over their logarithms."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    middle_x, middle_y = (statistics.fmean(values) for values in zip(*logs, strict=True))
    return sum((x - middle_x) * (y - middle_y) for x, y in logs) / sum((x - middle_x) ** 2 for x, _ in logs)


def _confirm_row(probe: Probe) -> Row:
    with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as name:
        for module, other in (("a", "b"), ("b", "a")):
            Path(name, f"{module}.py").write_text(
                f"from importlib import import_module\n\nX = import_module('{other}')\n"
            )
        pair = replace(probe, path=(Path(name),))
        hazard = scan(pair, ["a", "b"]).findings[0].hazard
        times = []
        for _ in range(REPEATS):
            begun = time.monotonic()
            prove(pair, hazard, 1)
            times.append(time.monotonic() - begun)
    return _limited(f"one directed run of a pair, median of {REPEATS}", statistics.median(times), MOST_CONFIRM)
