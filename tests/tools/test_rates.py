"""How often undirected threads deadlock, counted in fresh processes."""

import sys

import pytest

from python_tsan.errors import SubjectError
from python_tsan.imports.model.interpreter import Python, identify
from tools.import_table import rates
from tools.import_table.case_results import Build
from tools.import_table.rates import Rate, measure_rates

BUILD = Build(version=(3, 14, 10))


def rate(met, runs):
    return Rate(build=BUILD, mitigation="none", met=met, runs=runs)


def test_a_rate_is_written_with_the_bound_on_its_open_side():
    assert str(rate(48, 60)) == "48 of 60, ≥ 69 %"
    assert str(rate(0, 60)) == "0 of 60, ≤ 5 %"
    assert str(rate(60, 60)) == "60 of 60, ≥ 95 %"


def test_each_mitigation_is_tried_as_often_as_asked():
    measured = list(measure_rates([identify([sys.executable])], trials=1))
    assert [(each.mitigation, each.runs) for each in measured] == [(name, 1) for name in rates.COMPARED]
    # Before 3.13.16 nothing closes the cycle of that package unless a thread is caught in a finder: rare, not never.
    assert all(each.met in (0, 1) for each in measured)
    assert [each.met for each in measured if each.mitigation == "safe_import"] == [0]


def test_no_trials_are_no_work():
    assert list(measure_rates([identify([sys.executable])], trials=0)) == []


def test_an_error_in_one_thread_is_one_trial_that_failed(tmp_path):
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\necho \'["_DeadlockError", "_DeadlockError"]\'\n')
    script.chmod(0o755)
    fake = Python(command=(str(script),), version=(3, 14, 10), text="3.14.10")
    assert [each.met for each in measure_rates([fake], trials=2)] == [2] * len(rates.COMPARED)


def test_a_trial_without_a_result_is_an_error_that_says_so(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho gone >&2\nexit 3\n")
    script.chmod(0o755)
    fake = Python(command=(str(script),), version=(3, 14, 10), text="3.14.10")
    with pytest.raises(SubjectError, match=r"3\.14\.10 ended without a result: gone"):
        list(measure_rates([fake], trials=1))
