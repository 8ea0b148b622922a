"""Every row and variant played by the interpreter that runs the tests, and held against the table."""

import sys

import pytest
from lazy_python import LAZY, needs_lazy

from python_tsan.imports.cases.import_cases.case import module_name
from python_tsan.imports.cases.import_cases.rows import LAZY_ROWS, ROWS, row
from python_tsan.imports.model.interpreter import Python, identify
from python_tsan.imports.outcomes import ImportOutcome
from tools.import_table.case_results import disagreement
from tools.import_table.inside.mitigations import MITIGATIONS
from tools.import_table.measure import run_row, run_rows
from tools.import_table.mitigation_effects import expected_outcome

HERE = identify([sys.executable])
HANGS = 0.6


@pytest.mark.parametrize(
    ("name", "variant"), [pytest.param(each.name, variant.name) for each in ROWS for variant in each.variants]
)
def test_a_row_does_what_the_table_says(name, variant):
    played = run_row(HERE, name, variant=variant, deadline=HANGS if "hang" in outcome(name, variant) else 20)
    assert disagreement(played) == ""
    assert played.outcome is not None


@needs_lazy
@pytest.mark.parametrize(
    ("name", "variant"), [pytest.param(each.name, variant.name) for each in LAZY_ROWS for variant in each.variants]
)
def test_a_row_of_lazy_imports_does_what_the_table_says(name, variant):
    hangs = "hang" in outcome(name, variant, LAZY)
    played = run_row(LAZY, name, variant=variant, deadline=HANGS if hangs else 20)
    assert disagreement(played) == ""
    assert played.outcome is not None


def outcome(name, variant, python=HERE):
    from python_tsan.imports.outcomes import find_range  # noqa: PLC0415 -- keeps the parameters above readable

    found = find_range(name if variant == "hazard" else f"{name}.{variant}", python.version)
    return found.outcome.value if found else ""


def test_a_hang_comes_with_who_waits_for_whom():
    played = run_row(HERE, "user_lock", deadline=HANGS)
    assert played.outcome is ImportOutcome.HANG
    assert played.waits == ("T1 waits for service, held by T2", "T2 is at service.py:3 in <module>")


@pytest.mark.skipif(HERE.version >= (3, 15), reason="the row is fixed there")
@pytest.mark.parametrize(
    ("mitigation", "wanted"),
    [
        ("parents_first", ImportOutcome.OK),
        ("lock_round_entries", ImportOutcome.OK),
        ("one_import_thread", ImportOutcome.OK),
        ("retry", ImportOutcome.OK),
        ("long_switch_interval", ImportOutcome.ERROR),
    ],
)
def test_some_mitigations_help_and_some_do_not(mitigation, wanted):
    assert run_row(HERE, "cold_window", mitigation=mitigation, deadline=20).outcome is wanted


@pytest.mark.parametrize("name", ["joining_other", "fork_other", "lock_then_import"])
def test_a_lock_round_every_import_makes_a_harmless_program_hang(name):
    assert run_row(HERE, name, deadline=20).outcome is ImportOutcome.OK
    assert run_row(HERE, name, mitigation="lock_round_import", deadline=HANGS).outcome is ImportOutcome.HANG


@pytest.mark.parametrize("mitigation", sorted(set(MITIGATIONS) - {"none"}))
def test_every_mitigation_does_to_one_row_what_its_table_says(mitigation):
    wanted = expected_outcome(mitigation, "by_name", HERE.version, free_threaded=HERE.free_threaded)
    deadline = HANGS if wanted is ImportOutcome.HANG else 20
    assert disagreement(run_row(HERE, "by_name", mitigation=mitigation, deadline=deadline)) == ""


@pytest.mark.parametrize("lock", ["mutex", "call_once", "static_guard"])
def test_a_native_lock_helps_in_the_right_order_and_hangs_in_the_wrong_one(lock):
    right = run_row(HERE, "cold_window", mitigation=f"{lock}_gil_released", deadline=20)
    wrong = run_row(HERE, "cold_window", mitigation=f"{lock}_gil_held", deadline=HANGS)
    assert (right.outcome, wrong.outcome) == (ImportOutcome.OK, ImportOutcome.HANG)


@pytest.mark.parametrize("name", [each.name for each in ROWS])
def test_the_python_safe_import_fixes_what_its_table_says(name):
    hangs = expected_outcome("safe_import", name, HERE.version, free_threaded=HERE.free_threaded) is ImportOutcome.HANG
    played = run_row(HERE, name, mitigation="safe_import", deadline=HANGS if hangs else 20)
    assert disagreement(played) == ""
    assert played.outcome is not None


def test_names_of_rows_and_mitigations_are_unique_and_known():
    rows = (*ROWS, *LAZY_ROWS)
    assert len({each.name for each in rows}) == len({each.label for each in rows}) == len(rows)
    assert "none" in MITIGATIONS
    with pytest.raises(LookupError, match="cold_window"):
        row("nothing")
    with pytest.raises(LookupError, match="preimport"):
        row("cold_window").variant("nothing")


def test_every_hold_is_at_a_module_of_the_rows_tree():
    for each in (*ROWS, *LAZY_ROWS):
        for hold in each.holds:
            assert not hold.module or hold.module in each.modules, each.name


def test_a_file_defines_the_module_that_its_path_says():
    assert module_name("pkg/__init__.py") == "pkg"
    assert module_name("pkg/deep/leaf.py") == "pkg.deep.leaf"


def test_an_interpreter_that_ends_without_a_report_leaves_the_others_their_runs(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho gone >&2\nexit 3\n")
    script.chmod(0o755)
    broken = Python(command=(str(script),), version=(3, 13, 0), text="3.13.0", sanitized=True)
    seen = run_rows([broken], jobs=2)
    assert {each.outcome for each in seen} == {None}
    assert len(seen) == sum(len(each.variants) for each in ROWS)
    assert "ended without a report (exit 3): gone" in disagreement(seen[0])


def test_rows_of_lazy_imports_are_run_only_where_there_is_their_syntax(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    broken = Python(command=(str(script),), version=(3, 15, 2), text="3.15.2", sanitized=True)
    seen = run_rows([broken], jobs=2)
    assert len(seen) == sum(len(each.variants) for each in (*ROWS, *LAZY_ROWS))
