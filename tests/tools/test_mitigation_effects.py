"""What mitigations do to rows, as data: complete, without contradiction, and with a reason for each cell."""

import re
from pathlib import Path

import pytest

from python_tsan.imports.cases.import_cases.rows import ROWS
from python_tsan.imports.outcomes import ImportOutcome
from tools.import_table.inside.mitigations import MITIGATIONS
from tools.import_table.mitigation_effects import Effect, effects, expected_outcome, read_reason

NAMES = sorted(row.name for row in ROWS)


def test_every_mitigation_says_what_it_does_to_every_row_once():
    assert set(effects()) == set(MITIGATIONS) - {"none"}
    for cure, reasons in effects().items():
        assert sorted(row for reason in reasons for row in reason.rows) == NAMES, cure


def test_every_reason_is_a_short_sentence():
    for reasons in effects().values():
        for reason in reasons:
            assert 10 < len(reason.why) <= 130
            assert reason.why[0].islower() or reason.why.startswith(("CPython", "T1")), reason.why
            assert not reason.why.endswith(".")


@pytest.mark.parametrize(
    ("cure", "row", "version", "outcome"),
    [
        ("safe_import", "cold_window", (3, 14, 10), ImportOutcome.OK),
        ("safe_import", "user_lock", (3, 14, 10), ImportOutcome.OK),
        ("safe_import", "user_lock", (3, 15, 2), ImportOutcome.HANG),  # it does nothing there
        ("safe_import", "from_each_other", (3, 9, 18), ImportOutcome.PARTIAL),
        ("retry", "from_parent", (3, 13, 15), ImportOutcome.PARTIAL),
        ("retry", "from_parent", (3, 13, 16), ImportOutcome.OK),
        ("parents_first", "import_module", (3, 13, 0), ImportOutcome.ERROR),
        ("lock_round_import", "by_name", (3, 13, 0), ImportOutcome.ERROR),
        ("lock_round_import", "joining_other", (3, 15, 2), ImportOutcome.HANG),
        ("long_switch_interval", "cold_window", (3, 12, 1), ImportOutcome.ERROR),
    ],
)
def test_what_a_row_ends_in_follows_from_the_row_and_the_effect(cure, row, version, outcome):
    assert expected_outcome(cure, row, version, free_threaded=False) is outcome


def test_no_outcome_is_listed_for_a_lock_that_waits_with_the_gil_without_one():
    assert expected_outcome("mutex_gil_held", "cold_window", (3, 13, 5), free_threaded=True) is None
    assert expected_outcome("mutex_gil_held", "cold_window", (3, 13, 5), free_threaded=False) is ImportOutcome.HANG


def test_no_outcome_is_listed_for_releases_that_nobody_measured():
    assert expected_outcome("retry", "cold_window", (3, 15, 0), free_threaded=False) is None


def test_a_typing_error_in_the_table_is_refused():
    with pytest.raises(ValueError, match="whyy"):
        read_reason({"rows": ["fork"], "effect": "leaves", "whyy": ""})
    with pytest.raises(ValueError, match="heals"):
        read_reason({"rows": ["fork"], "effect": "heals", "why": ""})
    with pytest.raises(KeyError):
        expected_outcome("nothing", "fork", (3, 13, 0), free_threaded=False)


def test_the_documentation_of_safe_import_names_the_rows_that_it_prevents():
    text = (Path(__file__).parents[2] / "docs" / "safe-import.md").read_text(encoding="utf-8")
    sentence = re.search(r"It prevents the rows ([\w,\s]+?)\.", text)
    assert sentence is not None
    prevents = {row for reason in effects()["safe_import"] if reason.effect is Effect.FIXES for row in reason.rows}
    assert set(re.findall(r"[a-z]+_[a-z_]+|barrel|fork", sentence[1])) == prevents
