"""Write the table of mistakes into ``docs/c-api-mistakes.md``. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render.table import markdown_table
from tools.contract_table.measure import NOT_SEEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.contract_table.measure import Case, Measured

_INTRODUCTION = """\
# Which mistakes with the C API are found

Each row is a small program with a mistake, and its twin without it, in [cases.cpp](../native/contract/cases.cpp).
[The C API's contract](c-api-contract.md) explains the rules. The table is generated: each program ran once with each
CPython, under the recorder of `python-tsan run`, and under ThreadSanitizer with its shims.

To run it again and to write this page:

    python -m {command}

{summary}
"""


def render_page(measured: Sequence[Measured], *, command: str) -> str:
    """Write the page: a row for each mistake, a column for each CPython."""
    targets = list(dict.fromkeys(each.target.name for each in measured))
    rows = list(_rows(measured, targets))
    return "\n".join(
        [
            _INTRODUCTION.format(command=command, summary=_summary(measured, len(targets))),
            *markdown_table(["mistake", "rule", *targets], rows),
            "",
        ]
    )


def _summary(measured: Sequence[Measured], targets: int) -> str:
    visible = [each for each in measured if not each.expected.startswith(NOT_SEEN)]
    found = sum(each.is_as_expected or bool(each.wrong) for each in visible)
    false = sum(bool(each.right) for each in measured)
    cases = len({each.case.name for each in measured})
    return (
        f"{cases} mistakes on {targets} builds of CPython: {found} of {len(visible)} found where they can be seen,\n"
        f"and {false} of {len(measured)} right programs reported."
    )


def _rows(measured: Sequence[Measured], targets: Sequence[str]) -> Iterator[list[str]]:
    cells = {(each.case.name, each.target.name): _cell(each) for each in measured}
    by_name: dict[str, Case] = {each.case.name: each.case for each in measured}
    for name, case in by_name.items():
        rule = "" if case.found.startswith(NOT_SEEN) else case.found
        yield [case.what, rule, *(cells.get((name, target), "") for target in targets)]


def _cell(measured: Measured) -> str:
    text = "found" if measured.wrong else "missed"
    if measured.expected.startswith(NOT_SEEN) and not measured.wrong:
        text = measured.expected
    return f"{text}, twin reported" if measured.right else text
