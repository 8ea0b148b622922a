"""The page of import hazards."""

import re
from pathlib import Path

import pytest

from python_tsan.imports.cases.import_cases.rows import LAZY_ROWS, ROWS
from python_tsan.imports.outcomes import ImportOutcome
from tools.import_table.__main__ import main
from tools.import_table.case_results import Build, CaseResult
from tools.import_table.inside.mitigations import MITIGATIONS
from tools.import_table.page import render_page
from tools.import_table.rates import Rate

NEWEST = Build(version=(3, 15, 2))
HERE = Build(version=(3, 14, 10))
FREE = Build(version=(3, 13, 5), free_threaded=True, sanitized=True)


def played(row, outcome, *, build=HERE, variant="hazard", mitigation="none", losers=(), waits=()):
    return CaseResult(
        row=row, variant=variant, mitigation=mitigation, build=build, outcome=outcome, losers=losers, waits=waits
    )


WAITS = ("T1 is at forker.py:14 in fork", "T2 is kept at exec slow by the schedule")
PAGE = render_page(
    [
        played("cold_window", ImportOutcome.ERROR, losers=("T2",)),
        played("cold_window", ImportOutcome.OK, build=NEWEST),
        played("cold_window", ImportOutcome.ERROR, build=FREE, losers=("T2",)),
        played("cold_window", ImportOutcome.OK, variant="preimport"),
        played("from_parent", ImportOutcome.PARTIAL, losers=("T1", "T2")),
        played("fork", ImportOutcome.HANG, waits=WAITS),
        played("fork", ImportOutcome.HANG, build=NEWEST, waits=WAITS),
        played("joining_other", ImportOutcome.HANG, mitigation="lock_round_import"),
        played("joining_other", ImportOutcome.HANG, mitigation="lock_round_import", build=NEWEST),
        played("barrel", None),
    ],
    [
        Rate(build=HERE, mitigation="none", met=48, runs=60),
        Rate(build=HERE, mitigation="safe_import", met=0, runs=60),
    ],
    date="2026-01-02",
    machine="Linux x86_64, 2 cores",
    command="tools.import_table --repeat 60 --output page.md",
)
NOWHERE = {"date": "", "machine": "", "command": ""}


def line_of(page, start):
    return next(line for line in page.splitlines() if line.startswith(start))


def test_each_row_has_a_line_with_a_cell_for_each_build():
    assert line_of(PAGE, "| row | what").endswith("| 3.13.5t TSan | 3.14.10 | 3.15.2 |")
    assert line_of(PAGE, "| `cold_window` (R2) | T1").endswith("| **D** T2 | **D** T2 | ok |")
    assert line_of(PAGE, "| `from_parent`").endswith("|  | **P** T1, T2 |  |")
    assert line_of(PAGE, "| `fork` (R10)").endswith("|  | **H** | **H** |")
    assert line_of(PAGE, "| `barrel`").endswith("|  | ? |  |")
    assert all(f"`{row.name}` ({row.label})" in PAGE for row in ROWS)


def test_the_rates_stand_with_their_bounds():
    rates = PAGE[PAGE.index("## How often") : PAGE.index("## Who waits")]
    assert line_of(rates, "| Python |") == "| Python | by itself | parents_first | safe_import | long_switch_interval |"
    assert line_of(rates, "| 3.14.10 |") == "| 3.14.10 | 48 of 60, ≥ 69 % |  | 0 of 60, ≤ 5 % |  |"
    assert "with 95 % confidence" in rates
    assert "## How often" not in render_page([], **NOWHERE)


def test_the_graph_of_a_hang_is_shown_once_for_all_that_share_it():
    assert "`fork` (R10), on 3.14.10, 3.15.2:\n\n    T1 is at forker.py:14 in fork\n" in PAGE


def test_the_harm_of_a_mitigation_is_shown_and_explained():
    matrix = PAGE[PAGE.index("### 3.14.10") :]
    cells = [cell.strip() for cell in line_of(matrix, "| `joining_other`").split("|")[2:-1]]
    assert dict(zip(MITIGATIONS, cells, strict=True))["lock_round_import"] == "**H**"
    why = PAGE[PAGE.index("**`lock_round_import`**") :]
    assert line_of(why, "- **hangs** joining_body, joining_other: the thread that the body waits for")


def test_every_mitigation_is_explained():
    for name in set(MITIGATIONS) - {"none"}:
        assert f"**`{name}`**: " in PAGE
    assert "- fixes, up to the release before 3.15.2, fork: the fork waits" in PAGE
    assert "- takes the `_DeadlockError` away from cold_window" in PAGE


def test_builds_that_agree_in_every_cell_share_a_table_and_those_without_mitigations_get_no_table():
    differ = played("fork", ImportOutcome.OK, mitigation="imp_lock", build=NEWEST)
    same = [played("fork", ImportOutcome.OK, mitigation="imp_lock"), differ, played("fork", None, build=FREE)]
    page = render_page(same, **NOWHERE)
    assert page.count("### 3.14.10, 3.15.2\n") == 1
    apart = render_page(
        [*same[:1], played("fork", None, mitigation="imp_lock", build=NEWEST)], date="", machine="", command=""
    )
    assert "### 3.14.10\n" in apart
    assert "### 3.15.2\n" in apart
    assert not any(line.startswith("### 3.13.5t") for line in page.splitlines())


def test_when_and_where_it_was_measured_and_how_to_do_it_again():
    assert "Measured 2026-01-02 on Linux x86_64, 2 cores." in PAGE
    assert "\n    python -m tools.import_table --repeat 60 --output page.md\n" in PAGE
    assert PAGE.endswith("\n")


def test_the_page_in_the_repository_is_about_these_rows_and_these_reasons():
    page = (Path(__file__).parents[2] / "docs" / "import-hazards.md").read_text(encoding="utf-8")
    reasons = "## Why a mitigation does what it does\n"
    assert page.partition(reasons)[2] == render_page([], **NOWHERE).partition(reasons)[2], "generate it again"
    assert all(f"| `{row.name}` ({row.label}) | {row.summary} |" in page for row in ROWS)
    assert f"| row | {' | '.join(MITIGATIONS)} |" in page
    with pytest.raises(SystemExit, match="0"):
        main([*re.findall(r"python -m tools.import_table (.*)", page)[0].split(), "--help"])


def test_lazy_imports_have_a_part_where_an_interpreter_has_them():
    old = CaseResult(row="cold_window", variant="hazard", mitigation="none", build=HERE, outcome=None)
    results = [
        CaseResult(row=row.name, variant="hazard", mitigation="none", build=NEWEST, outcome=ImportOutcome.OK)
        for row in LAZY_ROWS
    ]
    page = render_page([*results, old], **NOWHERE)
    part = page.partition("## Lazy imports\n")[2].partition("## ")[0]
    assert "| row | what the threads do | 3.15.2 |" in part
    assert all(f"| `{row.name}` ({row.label}) | {row.summary} | ok |" in part for row in LAZY_ROWS)
    assert "## Lazy imports" not in render_page([old], **NOWHERE)
