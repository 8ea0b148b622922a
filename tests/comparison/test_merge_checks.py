import pytest
from compared import RACE as FOUND
from compared import run_of, verdict
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from python_tsan.comparison.model import Seen
from python_tsan.errors import ExitCode, UsageError
from python_tsan.expectation import Expectation, Outcome
from python_tsan.result.merge import merge, unite
from python_tsan.result.model import KnownRace, Status

RACE = Expectation(outcome=Outcome.RACE)


def race(met, runs):
    """Return a verdict of a race that was there to be seen, in ``met`` of ``runs`` runs."""
    shown = [Seen.RACE] * met + [Seen.CLEAN] * (runs - met)
    status = Status.PASSED if met == runs else Status.FAILED
    return replace(verdict("gil/race", *shown, status=status, reason=f"{met} of {runs}"), expectation=RACE, met=met)


def merged(*runs):
    return merge(unite((f"/runs/{run.id}", run) for run in runs))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6))
def test_k_of_n_is_added_up_exactly(counts):
    runs = [run_of(race(hit, hit + missed), name=f"r{number}") for number, (hit, missed) in enumerate(counts)]
    (one,) = merged(*runs).verdicts
    assert (one.met, one.runs) == (sum(hit for hit, _ in counts), sum(map(sum, counts)))
    assert len(one.observations) == one.runs
    assert merged(*reversed(runs), runs[0]) == merged(*runs)


def test_a_rate_is_bounded_again():
    made = merged(run_of(race(3, 3), name="a"), run_of(race(5, 5), name="b"))
    assert made.verdicts[0].reason == "found in 8 of 8 (at least 68 % with 95 % confidence)"
    assert made.exit_code is ExitCode.CLEAN


def test_the_worst_of_the_machines_stands_with_its_reason():
    made = merged(run_of(race(3, 3), name="a"), run_of(race(2, 3), name="b"), run_of(race(3, 3), name="c"))
    assert made.exit_code is ExitCode.FINDINGS
    assert made.verdicts[0].reason == "2 of 3 (in 1 of 3 runs)"
    doubt = verdict("gil/race", Seen.DOUBT, status=Status.COULD_NOT_JUDGE, reason="no log folder")
    doubtful = run_of(replace(doubt, expectation=RACE), name="d")
    assert merged(run_of(race(2, 3), name="b"), doubtful).exit_code is ExitCode.SUBJECT


def test_what_each_machine_set_aside_is_added_up():
    race_upstream = KnownRace(finding=FOUND[0], suppression="race:f", reason="an issue")
    clean = verdict("x", Seen.CLEAN, Seen.CLEAN)
    met = replace(clean, observations=(replace(clean.observations[0], known=(race_upstream,)), clean.observations[1]))
    (one,) = merged(run_of(met, name="a"), run_of(clean, name="b"), run_of(met, name="c")).verdicts
    assert one.reason == "set aside in 2 of 6 runs, known upstream: race:f (an issue)"


def test_a_check_that_one_machine_could_run_was_run():
    skipped = verdict("x", status=Status.SKIPPED, reason="needs numpy")
    made = merged(run_of(skipped, name="a"), run_of(verdict("x", Seen.CLEAN), name="b"))
    assert made.verdicts[0].status is Status.PASSED


def test_an_unfinished_run_leaves_the_sum_unfinished():
    cut = replace(run_of(race(1, 1), name="a"), unfinished="KeyboardInterrupt")
    made = merged(cut, run_of(race(1, 1), name="b"))
    assert made.unfinished == "a is unfinished: KeyboardInterrupt"
    assert made.exit_code is ExitCode.SUBJECT


def test_another_interpreter_is_another_subject():
    with pytest.raises(UsageError, match=r"full lane: CPython 3\.13\.5, .* and CPython 3\.14\.0"):
        merged(run_of(race(1, 1), name="a"), run_of(race(1, 1), name="b", version="3.14.0"))


def test_other_expectations_of_one_check_are_refused():
    other = replace(race(1, 1), expectation=Expectation(outcome=Outcome.HANG))
    with pytest.raises(UsageError, match="expect different things of gil/race: race and hang"):
        merged(run_of(race(1, 1), name="a"), run_of(other, name="b"))
