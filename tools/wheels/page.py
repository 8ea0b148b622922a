"""Write the page of the survey from its rows. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.wheels.survey import wheels

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from tools.wheels.survey import Row

# ruff: noqa: E501 -- lines of the page
INTRODUCTION = """# Wheels under ThreadSanitizer

Each program of `tools/wheels/programs` uses one wheel with native code in four threads, three times in each. It ran in
CPython {version} built under ThreadSanitizer, once started from Python and once from a C++ embedder whose threads hold the GIL,
with each compiler. All programs are correct. A cell has the number of findings that are kept. In parentheses are those that are
[set aside](decisions/findings-set-aside.md), of all. One run each: a race that needs luck can be missing.

```sh
uv pip install --target site --python INTERPRETER/bin/python3 $(python -m tools.wheels --list)
nox -s wheels -- --site site --work runs --python INTERPRETER
```

"""
NOT_RUN = "not run"
# What is kept of a wheel, read finding by finding.
EXPLAINED = {
    "aiohttp": "multidict 7.2.1 gives a MultiDict to the collector before its fields are set, which a debug build of CPython checks ([bpo-38392](https://github.com/python/cpython/pull/16615)); `build --release` has no such check",
}


def page(rows: Sequence[Row], *, today: dt.date, version: str = "3.13.5") -> str:
    """Return the page: a table, what was kept or failed with its verdict, and what was not run."""
    columns = sorted({(row.toolchain, row.kind) for row in rows})
    cells = {(row.wheel, row.toolchain, row.kind): row for row in rows}
    heading = ["wheel", "version", *(f"{toolchain}, {kind}" for toolchain, kind in columns)]
    lines = [f"| {' | '.join(heading)} |", "|" + "---|" * len(heading)]
    for wheel in wheels():
        versions = {row.version for row in rows if row.wheel == wheel}
        outcomes = [_cell(cells.get((wheel, *column))) for column in columns]
        lines.append(f"| {' | '.join([wheel, ', '.join(sorted(versions)), *outcomes])} |")
    text = INTRODUCTION.format(version=version) + f"Measured on {today.isoformat()}.\n\n" + "\n".join(lines) + "\n"
    notable = [row for row in rows if row.kept or not row.verdict.startswith("no new finding")]
    if notable:
        text += "\n## Not clean\n\n| wheel | run | verdict | what it is |\n|---|---|---|---|\n"
        for row in sorted(notable, key=lambda each: (each.wheel, each.toolchain, each.kind)):
            text += f"| {row.wheel} | {row.toolchain}, {row.kind} | {_text(row.verdict)} | {EXPLAINED.get(row.wheel, '')} |\n"
    return text


def _cell(row: Row | None) -> str:
    if row is None:
        return NOT_RUN
    aside = f" ({row.aside} of {row.findings})" if row.findings else ""
    ended = row.verdict.startswith("no new finding") or row.kept
    return f"{row.kept}{aside}" if ended else "failed"


def _text(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")
