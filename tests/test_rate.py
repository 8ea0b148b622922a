import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.rate import (
    at_least,
    describe_rate,
    excluded_rate,
    lower_bound,
    runs_needed,
    wilson_bounds,
)


@pytest.mark.parametrize("runs", [1, 3, 20, 60])
def test_all_of_n_has_a_closed_form(runs):
    assert lower_bound(runs, runs) == pytest.approx(0.05 ** (1 / runs))


# Clopper-Pearson bounds from the beta distribution's quantiles: qbeta(0.05, k, n - k + 1).
@pytest.mark.parametrize(("met", "runs", "bound"), [(1, 10, 0.005116), (5, 10, 0.222441), (9, 10, 0.605837)])
def test_bounds_of_the_textbook(met, runs, bound):
    assert lower_bound(met, runs) == pytest.approx(bound, abs=1e-5)


def test_nothing_seen_bounds_nothing():
    assert lower_bound(0, 100) == 0.0
    assert lower_bound(0, 0) == 0.0


@pytest.mark.parametrize(("met", "runs"), [(2, 1), (-1, 3)])
def test_counts_that_make_no_sense(met, runs):
    with pytest.raises(ValueError, match="not a count"):
        lower_bound(met, runs)


@given(st.integers(1, 60).flatmap(lambda runs: st.tuples(st.integers(1, runs), st.just(runs))))
def test_the_bound_is_below_the_rate_and_just_improbable_enough(counts):
    met, runs = counts
    bound = lower_bound(met, runs)
    assert 0 < bound < met / runs or math.isclose(bound, met / runs)
    assert at_least(met, runs, bound) == pytest.approx(0.05, abs=1e-6)


@given(st.integers(0, 40), st.integers(1, 20))
def test_more_successes_never_lower_the_bound(met, more):
    assert lower_bound(met + more, met + more) >= lower_bound(met, met + more)


def test_a_rate_in_words():
    assert describe_rate(3, 3) == "3 of 3 (at least 36 % with 95 % confidence)"
    assert describe_rate(0, 3) == "0 of 3 (at least 0 % with 95 % confidence)"


# Wilson's interval at 95 %, by his formula with z = 1.959964; the first row is that of Newcombe (1998), table I.
@pytest.mark.parametrize(
    ("met", "runs", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (3, 3, 0.4385, 1.0),
    ],
)
def test_wilsons_bounds_are_those_of_the_literature(met, runs, low, high):
    assert wilson_bounds(met, runs) == pytest.approx((low, high), abs=5e-5)


def test_no_runs_leave_everything_open():
    assert wilson_bounds(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("met", "runs"), [(2, 1), (-1, 3)])
def test_wilsons_bounds_refuse_what_makes_no_sense(met, runs):
    with pytest.raises(ValueError, match="is not a count"):
        wilson_bounds(met, runs)


@given(st.integers(1, 200).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_the_rate_lies_within_wilsons_bounds(counts):
    met, runs = counts
    low, high = wilson_bounds(met, runs)
    assert 0.0 <= low <= met / runs <= high <= 1.0


@pytest.mark.parametrize(("one_in", "runs"), [(2, 5), (10, 29), (100, 299), (1000, 2995), (10_000, 29_956)])
def test_the_rule_of_three_and_its_exact_values(one_in, runs):
    assert runs_needed(one_in) == runs
    assert runs == pytest.approx(3 * one_in, rel=0.2)


@given(st.integers(2, 10**7))
def test_one_run_fewer_would_not_do(one_in):
    runs = runs_needed(one_in)
    assert runs * math.log1p(-1 / one_in) <= math.log1p(-0.95) < (runs - 1) * math.log1p(-1 / one_in)


@given(st.integers(5, 10**7))
def test_the_excluded_rate_is_the_smallest_that_the_runs_exclude(runs):
    one_in = excluded_rate(runs)
    assert runs_needed(one_in) <= runs < runs_needed(one_in + 1)


def test_the_excluded_rate_is_the_upper_bound():
    assert 1 / excluded_rate(300) >= 1 - lower_bound(300, 300) > 1 / (excluded_rate(300) + 1)


@pytest.mark.parametrize("runs", [0, 1, 4])
def test_few_runs_exclude_nothing(runs):
    assert excluded_rate(runs) == 0


def test_what_is_no_rate_is_refused():
    with pytest.raises(ValueError, match="1 in 1 is not a rate below 1"):
        runs_needed(1)


def test_the_table_of_the_page_is_what_the_formula_gives():
    page = (Path(__file__).parents[1] / "docs" / "soaking.md").read_text()
    rows = re.findall(r"^\| 1 in ([\d,]+) \| ([\d,]+) \|", page, re.MULTILINE)
    assert len(rows) >= 4
    for one_in, runs in rows:
        assert f"{runs_needed(int(one_in.replace(',', ''))):,}" == runs
