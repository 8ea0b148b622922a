"""Write the page ``docs/import-atlas.md`` from surveys and nothing else. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render.escape import markdown, markdown_code
from python_tsan.render.table import markdown_table
from tools.import_atlas.analysis import analyse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tools.import_atlas.cell import Cell, CycleSeen
    from tools.import_atlas.listed import Listed
    from tools.import_atlas.survey import Bounds

_INTRODUCTION = """\
# Which packages of PyPI can deadlock when two threads import them

This page is generated; every line is a measurement. Each package was installed from wheels into an environment of its
own, its public modules were scanned for imports that can break each other when two threads make them at once, and two
threads were driven into each predicted hazard, {runs} times in fresh processes.

Measured {dates} on {machine}. To measure again what is missing, and to write this page:

    nox -s import_atlas

A **hazard** is two imports and the two module locks that they cross; it is listed for the first pair of entries that
meets there. **Confirmed** k of n: of n hazards that were driven into, k went wrong in at least one run.
A confirmed hazard needs one unlucky switch between threads. How often that happens in a program depends on the program;
that it can, does not. Entries are the first {modules} public modules of a package, the shallowest first, and the
top-level packages that it needs; a survey has {seconds:.0f} s, after which hazards that are left are not driven.

The last column is the shortest list that leaves no hazard between the entries. Behind it, threads were driven into each
confirmed hazard once more, and none went wrong unless the cell says so; "not tried": the limit was reached.
"""


def render_atlas(cells: Sequence[Cell], listed: Listed, bounds: Bounds, *, machine: str) -> str:
    """Write the page: what the surveys come to, a row for each package and Python, and what could not be surveyed."""
    dates = sorted({cell.date for cell in cells})
    parts = [
        _INTRODUCTION.format(
            runs=bounds.runs,
            modules=bounds.modules,
            seconds=bounds.seconds,
            machine=machine,
            dates=dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "never",
        ),
        "## Summary\n",
        *(f"{sentence}\n" for sentence in analyse(cells)),
        "## Packages with a confirmed hazard\n",
        _table(
            ("package", "Python", "modules", "predicted", "confirmed", "worst pair", "what happens", "import first"),
            (_row(cell) for cell in _ordered(cells) if cell.confirmed),
        ),
        *_rest(cells),
        *_missing(cells, listed.packages),
        "## The list\n",
        f"Chosen {listed.chosen} from {listed.source}:\n",
        *(f"- {group.title} ({len(group.packages)}): {group.rule}" for group in listed.groups),
        "",
    ]
    return "\n".join(parts).rstrip() + "\n"


def _ordered(cells: Iterable[Cell]) -> list[Cell]:
    return sorted(
        cells, key=lambda cell: (cell.package, [int(part) for part in cell.python.split(".") if part.isdecimal()])
    )


def _row(cell: Cell) -> tuple[str, ...]:
    worst = cell.confirmed[0]
    return (
        f"{markdown_code(cell.package)} {cell.version}",
        cell.python,
        f"{cell.modules:,}",
        f"{len(cell.cycles)}",
        f"{len(cell.confirmed)} of {cell.tried}",
        f"{markdown_code(worst.first)} and {markdown_code(worst.second)}",
        _happens(worst),
        _first(cell),
    )


def _happens(cycle: CycleSeen) -> str:
    """Say what the driven runs met: the error and the statement that raised it."""
    error = cycle.error.partition(":")[0] or (cycle.outcome.value if cycle.outcome else "")
    place = f" at {markdown_code(cycle.where)}" if cycle.where else ""
    return f"{markdown_code(error)} in {cycle.seen} of {cycle.runs} runs{place}"


def _first(cell: Cell) -> str:
    if not cell.preimport:
        return "not known"
    listed = ", ".join(markdown_code(module) for module in cell.preimport)
    return f"{listed}{'' if cell.verified else ' (not tried)' if cell.verified is None else ' (does not hold)'}"


def _rest(cells: Sequence[Cell]) -> Iterator[str]:
    ordered = _ordered(cells)
    doubtful = [cell for cell in ordered if cell.cycles and not cell.confirmed and not cell.problem]
    if doubtful:
        yield "## Predicted, and not confirmed\n"
        yield _table(("package", "Python", "predicted", "driven", "first pair", "answer"), map(_doubtful, doubtful))
    clean = [cell for cell in ordered if not cell.cycles and not cell.problem and cell.scanned]
    yield "## No hazard predicted\n"
    for python in dict.fromkeys(cell.python for cell in sorted(clean, key=lambda cell: cell.python)):
        names = (f"{cell.package} {cell.version}" for cell in clean if cell.python == python)
        yield f"- {python}: {', '.join(names)}"
    yield ""
    failed = [cell for cell in ordered if cell.problem or not cell.scanned]
    if failed:
        yield "## Not surveyed\n"
        yield _table(("package", "Python", "why"), map(_failed, failed))


def _missing(cells: Sequence[Cell], packages: Sequence[str]) -> Iterator[str]:
    """Name what a run that was ended has not come to: silence about a package must not read as a result."""
    for python in dict.fromkeys(cell.python for cell in cells):
        there = {cell.package for cell in cells if cell.python == python}
        left = [package for package in packages if package not in there]
        if left:
            yield f"Not surveyed yet on {python}: {', '.join(left)}.\n"


def _doubtful(cell: Cell) -> tuple[str, ...]:
    first = cell.cycles[0]
    return (
        f"{markdown_code(cell.package)} {cell.version}",
        cell.python,
        f"{len(cell.cycles)}",
        f"{cell.tried}",
        f"{markdown_code(first.first)} and {markdown_code(first.second)}",
        first.answer.value if first.answer else "not driven: out of time",
    )


def _failed(cell: Cell) -> tuple[str, ...]:
    why = cell.problem or "; ".join(f"{entry}: {text}" for entry, text in list(cell.failed.items())[:1])
    return (f"{markdown_code(cell.package)} {cell.version}".strip(), cell.python, markdown(why))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"{line}\n" for line in markdown_table(columns, rows))
