"""The page of import hazards."""

from python_tsan.imports.inside.import_cases.mitigations import MITIGATIONS
from python_tsan.imports.inside.import_cases.rows import ROWS
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.page import render_page
from python_tsan.imports.played import Played


def played(row, outcome, *, version=(3, 14, 10), variant="hazard", mitigation="none", losers=()):
    return Played(
        row=row,
        variant=variant,
        mitigation=mitigation,
        version=version,
        free_threaded=False,
        outcome=outcome,
        losers=losers,
    )


PAGE = render_page(
    [
        played("cold_window", ImportOutcome.ERROR, losers=("T2",)),
        played("cold_window", ImportOutcome.OK, version=(3, 15, 2)),
        played("cold_window", ImportOutcome.OK, variant="preimport"),
        played("from_parent", ImportOutcome.PARTIAL, losers=("T1", "T2")),
        played("fork", ImportOutcome.HANG),
        played("joining_other", ImportOutcome.HANG, mitigation="lock_round_import"),
        played("barrel", None),
    ],
    date="2026-01-02",
    machine="Linux x86_64",
)


def line_of(page, start):
    return next(line for line in page.splitlines() if line.startswith(start))


def test_each_row_has_a_line_with_a_cell_for_each_version():
    assert line_of(PAGE, "| row | what").endswith("| 3.14.10 | 3.15.2 |")
    assert line_of(PAGE, "| `cold_window` (R2) | T1").endswith("| **D** T2 | ok |")
    assert line_of(PAGE, "| `from_parent`").endswith("| **P** T1, T2 |  |")
    assert line_of(PAGE, "| `fork` (R10)").endswith("| **H** |  |")
    assert line_of(PAGE, "| `barrel`").endswith("| ? |  |")
    assert all(f"`{row.name}` ({row.label})" in PAGE for row in ROWS)


def test_the_cures_are_explained_and_their_harm_is_shown():
    for name in set(MITIGATIONS) - {"none"}:
        assert f"- `{name}`: " in PAGE
    matrix = PAGE[PAGE.index("### 3.14.10") :]
    cells = [cell.strip() for cell in line_of(matrix, "| `joining_other`").split("|")[2:-1]]
    assert dict(zip(MITIGATIONS, cells, strict=True))["lock_round_import"] == "**H**"


def test_when_and_where_it_was_measured_and_how_to_do_it_again():
    assert "Measured 2026-01-02 on Linux x86_64." in PAGE
    assert "python -m python_tsan imports table --unpacked --write docs/import-hazards.md" in PAGE
    assert PAGE.endswith("|\n")
