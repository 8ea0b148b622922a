import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.checking.interval import at_least, describe_rate, lower_bound


@pytest.mark.parametrize(("runs", "confidence"), [(1, 0.95), (3, 0.95), (20, 0.95), (60, 0.99)])
def test_all_of_n_has_a_closed_form(runs, confidence):
    assert lower_bound(runs, runs, confidence) == pytest.approx((1 - confidence) ** (1 / runs))


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


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        lower_bound(1, 1, confidence)


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
