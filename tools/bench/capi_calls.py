"""Measure what checks of the C API cost on a stock interpreter: one call, programs, the start with many symbols.

The same programs run without and with the recorder, in turn. Its share in locks is part of what programs cost.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.tools import uv_pip
from python_tsan.errors import BuildError
from tools.bench.gil_run import with_packages
from tools.bench.lock_recorder import COLUMNS, environments, stock_and_recorder
from tools.bench.table import Row, judged
from tools.bench.watch import compared_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from python_tsan.cpython.manifest import Interpreter
    from tools.bench.order import Order
    from tools.bench.table import Table

REPEATS = 11
SECONDS = 120.0
INSTALL_SECONDS = 600.0
MOST_NANOSECONDS = 25.0
MOST_MILLISECONDS = 50.0
SYMBOLS = 5000
PANDAS = """
import threading
import pandas
def work(number):
    frame = pandas.DataFrame({"a": range(20000), "b": [number] * 20000})
    for _ in range(5): frame.groupby("b").sum(); frame.sort_values("a")
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
PROGRAMS = (("import numpy", "import numpy", 1.03), ("pandas in 4 threads", PANDAS, 1.05))
# Prints the nanoseconds of a call, the least of twenty rounds. The list has the only reference to its item.
MEASURED = {"PyList_Size": "PyList_Size(list)", "PyList_GetItem": "PyList_GetItem(list, 0) != nullptr"}
CALLS = """
#include <Python.h>
#include <chrono>
#include <cstdio>
int main() {
    Py_Initialize();
    PyObject* list = PyList_New(1);
    PyList_SetItem(list, 0, PyList_New(0));
    double least = 1e9;
    Py_ssize_t sum = 0;
    for (int round = 0; round < 20; ++round) {
        const auto begun = std::chrono::steady_clock::now();
        for (int i = 0; i < 1000000; ++i) sum += CALL;
        const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begun;
        least = time.count() / 1e6 < least ? time.count() / 1e6 : least;
    }
    std::printf("%.3f\\n", least);
    return sum == 0;
}
"""


def tables(order: Order) -> Iterator[Table]:
    """Measure the checks; nothing without a stock interpreter."""
    found = stock_and_recorder(order)
    if found is None:
        return
    stock, library = found
    yield judged(f"checks of the C API on stock CPython {stock.version}", COLUMNS, rows(stock, order, library))


def rows(stock: Interpreter, order: Order, library: Path) -> Iterator[Row]:
    """Measure a call, each program, and the start."""
    python = with_packages(stock.executable, order.folder / "gil" / f"stock-{stock.version}")
    process.run(uv_pip("--python", python, "pandas"), timeout=INSTALL_SECONDS)
    with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as name:
        folder, kinds = Path(name), environments(library, name)
        for function, call in MEASURED.items():
            yield call_row(function, _compiled(stock, folder, function, CALLS.replace("CALL", call)), kinds)
        for what, code, limit in PROGRAMS:
            yield compared_row(what, [str(python), "-c", code], kinds, limit, REPEATS)
        yield start_row(_many_symbols(stock, folder), kinds)


def call_row(function: str, program: Path, kinds: tuple[Mapping[str, str], Mapping[str, str]], repeats: int = 5) -> Row:
    """Measure one call that needs the GIL, with the GIL held."""
    plain, checked = _least(program, kinds, repeats, lambda ended: float(ended.stdout))
    more = checked - plain
    return Row(
        what=f"a call of {function}, best of {repeats}",
        before=f"{plain:.1f} ns",
        measured=f"{checked:.1f} ns",
        cost=f"{more:.1f} ns more",
        limit=f"{MOST_NANOSECONDS:.0f} ns more",
        met=more <= MOST_NANOSECONDS,
    )


def start_row(program: Path, kinds: tuple[Mapping[str, str], Mapping[str, str]], repeats: int = REPEATS) -> Row:
    """Measure the whole of a program that imports many functions and calls none of them."""
    plain, checked = _least(program, kinds, repeats, lambda ended: ended.cpu_seconds * 1000)
    more = checked - plain
    return Row(
        what=f"a program with {SYMBOLS} imported functions, CPU time, best of {repeats}",
        before=f"{plain:.1f} ms",
        measured=f"{checked:.1f} ms",
        cost=f"{more:.1f} ms more",
        limit=f"{MOST_MILLISECONDS:.0f} ms more",
        met=more <= MOST_MILLISECONDS,
    )


def _least(
    program: Path,
    kinds: tuple[Mapping[str, str], Mapping[str, str]],
    repeats: int,
    figure: Callable[[process.Completed], float],
) -> tuple[float, float]:
    """Run the program in both environments in turn, and return the least figure of each."""
    figures: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for env, found in zip(kinds, figures, strict=True):
            found.append(figure(process.run([program], env=env, timeout=SECONDS)))
    return min(figures[0]), min(figures[1])


def _many_symbols(stock: Interpreter, folder: Path) -> Path:
    """Return a program with libraries that import all functions of Python again and again."""
    listed = process.run(["nm", "-D", "--defined-only", stock.library], timeout=SECONDS).stdout
    names = [line.split()[-1] for line in listed.splitlines() if " T Py" in line]
    libraries: list[Path] = []
    left = SYMBOLS
    while left > 0 and names:
        chosen = names[:left]
        left -= len(chosen)
        name = f"many{len(libraries)}"
        calls = "".join(f"void {each}(void); " for each in chosen)
        body = "".join(f"{each}(); " for each in chosen)
        text = f'extern "C" {{ {calls} void use_{name}() {{ {body} }} }}'
        libraries.append(_compiled(stock, folder, name, text, "-shared", "-fPIC"))
    uses = [f"use_many{number}" for number in range(len(libraries))]
    text = f"""extern "C" {{ {"".join(f"void {use}();" for use in uses)} }}
    int main(int count, char**) {{ if (count > 1) {{ {"".join(f"{use}();" for use in uses)} }} }}"""
    return _compiled(stock, folder, "start", text, *map(str, libraries), f"-Wl,-rpath,{folder}")


def _compiled(stock: Interpreter, folder: Path, name: str, text: str, *flags: str) -> Path:
    source, program = folder / f"{name}.cpp", folder / name
    source.write_text(text, encoding="utf-8")
    linked: list[str | Path] = [*flags, stock.library, f"-Wl,-rpath,{stock.library.parent}"]
    command: list[str | Path] = [stock.cxx, "-std=c++17", "-O2", f"-I{stock.include}", source, "-o", program, *linked]
    ended = process.run(command, timeout=SECONDS)
    if not ended.ok:
        raise BuildError(f"{stock.cxx} does not compile {source.name}: {ended.stderr.strip()}")
    return program
