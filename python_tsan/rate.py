"""Calculate k of n: a rate, its bounds with 95 % confidence, and its words."""

from __future__ import annotations

import math

CONFIDENCE = 0.95
_BISECTIONS = 60


def at_least(met: int, runs: int, probability: float) -> float:
    """Return the chance of ``met`` or more successes in ``runs`` independent tries of the given probability."""
    return math.fsum(
        math.comb(runs, hits) * probability**hits * (1.0 - probability) ** (runs - hits)
        for hits in range(met, runs + 1)
    )


def lower_bound(met: int, runs: int) -> float:
    """Return the one-sided lower confidence bound of a rate that was seen ``met`` times in ``runs``.

    Clopper and Pearson's exact bound (Biometrika 26, 1934): the smallest rate that would show so many successes
    with a chance of 5 %. No runs, or none that succeeded, bound the rate by 0.

    Raises ``ValueError`` when the counts make no sense.
    """
    if not 0 <= met <= runs:
        raise ValueError(f"{met} of {runs} is not a count of successes")
    if met == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if at_least(met, runs, middle) < 1.0 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return low


def wilson_bounds(met: int, runs: int) -> tuple[float, float]:
    """Return the two-sided score interval of a rate that was seen ``met`` times in ``runs`` (Wilson, JASA 22, 1927).

    No runs at all leave everything open: 0 to 1. Raises ``ValueError`` as :func:`lower_bound` does.
    """
    if not 0 <= met <= runs:
        raise ValueError(f"{met} of {runs} is not a count of successes")
    if runs == 0:
        return 0.0, 1.0
    from statistics import NormalDist  # noqa: PLC0415 -- brings fractions and decimals with it

    quantile = NormalDist().inv_cdf((1.0 + CONFIDENCE) / 2)
    rate, weight = met / runs, quantile**2 / runs
    centre = (rate + weight / 2) / (1 + weight)
    margin = quantile / (1 + weight) * math.sqrt(rate * (1 - rate) / runs + weight / (4 * runs))
    # At the ends the bound is the end itself, which rounding would miss by a hair.
    return 0.0 if met == 0 else centre - margin, 1.0 if met == runs else centre + margin


def runs_needed(one_in: int) -> int:
    """Return how many runs must all show nothing before a rate of ``1 / one_in`` can be excluded.

    A rate r shows nothing in n runs with a chance of (1 - r)^n; the number is the first n for which that is at most
    5 %. Raises ``ValueError`` for a rate above one half.
    """
    if one_in < 2:  # noqa: PLR2004 -- a rate of 1 shows in each run
        raise ValueError(f"1 in {one_in} is not a rate below 1")
    return math.ceil(math.log1p(-CONFIDENCE) / math.log1p(-1 / one_in))


def excluded_rate(runs: int) -> int:
    """Return the greatest N such that a rate of 1 in N is excluded by so many runs that showed nothing; 0 for none."""
    if runs < 1:
        return 0
    one_in = int(-1 / math.expm1(math.log1p(-CONFIDENCE) / runs)) + 1  # one too many, for rounding
    return next((n for n in range(one_in, 1, -1) if runs_needed(n) <= runs), 0)


def describe_rate(met: int, runs: int) -> str:
    """Write a rate for people: ``3 of 3 (at least 37 % with 95 % confidence)``."""
    bound = math.floor(lower_bound(met, runs) * 100)
    return f"{met} of {runs} (at least {bound} % with {CONFIDENCE * 100:.0f} % confidence)"
