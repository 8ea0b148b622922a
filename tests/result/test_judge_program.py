from pathlib import Path

import pytest
from msgspec.structs import replace

from python_tsan.expectation import Expectation, ExpectedFinding, Outcome
from python_tsan.result.finding import Attribution, DistinctFinding, FindingStatus
from python_tsan.result.judge.program import Evidence, found_by, judge_marked_test, judge_program, rate
from python_tsan.result.model import Conclusion, Observation, Status, SuppressionUse, Unparsed, VerdictStatus
from python_tsan.tsan.finding import Dialect, Kind

CLEAN = Expectation(outcome=Outcome.CLEAN)
HANG = Expectation(outcome=Outcome.HANG)
RACE = Expectation(outcome=Outcome.RACE, findings=(ExpectedFinding(kind="data race"),))
FINE = Observation(number=1, exit_code=0, timed_out=False, seconds=1.0, deadline=5.0)
ONE = frozenset({"one"})


def verdict(*attempts, expectation=CLEAN, **evidence):
    return judge_program(Evidence(observations=attempts, expectation=expectation, **evidence))


def test_nothing_found_is_clean():
    assert verdict(FINE).status is Status.PASSED
    assert verdict(FINE).reason == "no new finding"
    assert verdict(FINE, FINE).reason == "no new finding in 2 runs"


def test_no_run_at_all_is_never_clean():
    assert verdict().status is Status.COULD_NOT_JUDGE


def test_a_finding_fails_even_if_more_went_wrong():
    seen = replace(FINE, seen=ONE, exit_code=66)
    judged = verdict(seen, replace(FINE, problem="the log folder is gone"), failing=ONE)
    assert judged.status is Status.FAILED
    assert judged.reason == "1 finding"
    assert judged.downgrades == ("the log folder is gone in 1 of 2 runs",)


def test_a_known_finding_alone_is_clean():
    assert verdict(replace(FINE, seen=ONE, exit_code=66)).status is Status.PASSED


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (replace(FINE, problem="no log folder"), "no log folder"),
        (replace(FINE, exit_code=66), "exit 66, but no finding"),
        (replace(FINE, exit_code=66, fatal=("FATAL: ThreadSanitizer: unexpected memory mapping 0x1",)), "too random"),
        (
            replace(
                FINE,
                unparsed=Unparsed(
                    count=1, samples=("ThreadSanitizer: starting new threads after multi-threaded fork",)
                ),
            ),
            "forked after",
        ),
        (replace(FINE, exit_code=1, fatal=("FATAL: something new",)), "the runtime gave up: FATAL: something new"),
    ],
)
def test_a_doubt_is_never_called_clean(attempt, words):
    judged = verdict(attempt)
    assert judged.status is Status.COULD_NOT_JUDGE
    assert words in judged.reason


@pytest.mark.parametrize(
    ("ended", "status", "reason"),
    [
        (
            replace(FINE, exit_code=66, fatal=(" CHECK failed: x.cpp:1\n",), explained="greenlets"),
            Status.COULD_NOT_JUDGE,
            "the runtime gave up: CHECK failed: x.cpp:1 (greenlets)",
        ),
        (replace(FINE, exit_code=-11, explained="no room"), Status.FAILED, "ended by signal 11 (no room)"),
        (replace(FINE, exit_code=-11), Status.FAILED, "ended by signal 11"),
    ],
)
def test_a_death_with_an_explanation_has_it_in_place_of_the_general_advice(ended, status, reason):
    judged = verdict(ended)
    assert (judged.status, judged.reason) == (status, reason)


def test_one_line_that_is_not_understood_is_a_doubt_with_its_text():
    judged = verdict(replace(FINE, unparsed=Unparsed(count=1, samples=("WARNING: ThreadSanitizer: new words",))))
    assert judged.status is Status.COULD_NOT_JUDGE
    assert judged.reason == (
        "1 line of the log was not understood, so it cannot be called clean: WARNING: ThreadSanitizer: new words"
    )


def test_findings_that_are_set_aside_are_counted_by_library_in_the_verdict():
    aside = {"a": "grpcio", "b": "pyarrow", "c": "grpcio"}
    seen = replace(FINE, seen=frozenset("abc"), exit_code=66)
    assert verdict(seen, aside=aside).status is Status.PASSED
    assert verdict(seen, aside=aside).reason == ("no new finding; 3 findings set aside: 2 in grpcio, 1 in pyarrow")
    failed = verdict(replace(seen, seen=frozenset("abcd")), aside=aside, failing=frozenset("d"))
    assert (failed.status, failed.reason) == (
        Status.FAILED,
        "1 finding; 3 findings set aside: 2 in grpcio, 1 in pyarrow",
    )


def test_a_run_with_nothing_but_findings_set_aside_is_no_run_with_a_finding():
    runs = (replace(FINE, seen=ONE), replace(FINE, seen=frozenset({"one", "two"})))
    assert rate(runs, frozenset(), ONE).found == 1
    assert rate(runs, frozenset()).found == 2
    assert rate(runs, ONE, ONE).found == 2


def test_a_doubt_about_the_whole_run_counts_too():
    judged = verdict(FINE, doubts=("nothing instrumented ran",))
    assert (judged.status, judged.reason) == (Status.COULD_NOT_JUDGE, "nothing instrumented ran")


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (
            replace(FINE, timed_out=True, exit_code=-15, stacks=(Path("/run/1/stacks-native.txt"),)),
            "deadline of 5 s (stacks: stacks-n",
        ),
        (
            replace(FINE, timed_out=True, exit_code=-2, recent_cpu=(0.04, 5.2)),
            "deadline of 5 s; needed 0.0 CPU s in the last 5.2 s: hung (stacks",
        ),
        (
            replace(FINE, timed_out=True, exit_code=-2, recent_cpu=(4.8, 5.0)),
            "needed 4.8 CPU s in the last 5.0 s: slow or in an endless loop, raise --timeout (stacks",
        ),
        (replace(FINE, timed_out=True, exit_code=-2, recent_cpu=(0.25, 5.0)), "in the last 5.0 s: slow"),
        (replace(FINE, timed_out=True, exit_code=-15), "(stacks: none could be saved)"),
        (replace(FINE, crashes=("SEGV on unknown address 0x0",), exit_code=66), "crashed: SEGV"),
        (replace(FINE, exit_code=-6), "ended by signal 6"),
        (replace(FINE, exit_code=3), "ended with exit 3"),
    ],
)
def test_a_program_that_fails_is_not_clean(attempt, words):
    judged = verdict(attempt)
    assert judged.status is Status.FAILED
    assert words in judged.reason
    assert "in 1 of 2 runs" in verdict(attempt, FINE).reason


def test_an_expected_race_is_clean_when_each_run_shows_it():
    seen = replace(FINE, seen=ONE, exit_code=66)
    assert verdict(seen, seen, expectation=RACE, expected=(ONE,)).status is Status.PASSED
    assert verdict(seen, expectation=RACE, expected=(ONE,)).reason == "exactly the expected findings"
    missed = verdict(seen, FINE, expectation=RACE, expected=(ONE,))
    assert (missed.status, missed.reason) == (Status.FAILED, "what was expected was seen in 1 of 2 runs only")


def test_an_expected_race_may_be_another_one_in_each_run():
    one, two = replace(FINE, seen=ONE), replace(FINE, seen=frozenset({"two"}))
    either, both = (ONE | two.seen,), (ONE, two.seen)
    assert verdict(one, two, expectation=RACE, expected=either).status is Status.PASSED
    assert "in 0 of 2 runs only" in verdict(one, two, expectation=RACE, expected=both).reason


def test_until_found_asks_for_one_run_that_shows_it():
    seen = replace(FINE, seen=ONE, exit_code=66)
    assert verdict(FINE, FINE, seen, expectation=RACE, expected=(ONE,), once=True).status is Status.PASSED
    assert verdict(FINE, FINE, expectation=RACE, expected=(ONE,), once=True).status is Status.FAILED


def test_an_expected_race_that_never_came_is_named():
    judged = verdict(FINE, expectation=RACE, missing=("a data race on g",))
    assert (judged.status, judged.reason) == (Status.FAILED, "expected a data race on g, which was not seen")


def test_an_expected_hang_must_hang():
    hung = replace(FINE, timed_out=True, exit_code=-15)
    assert verdict(hung, expectation=HANG).status is Status.PASSED
    assert verdict(hung, hung, expectation=HANG).reason == "hung as expected in 2 runs"
    assert verdict(FINE, hung, expectation=HANG).reason == "expected a hang, but it ended by itself in 1 of 2 runs"


def test_a_complaint_of_the_baseline_fails_a_clean_run():
    judged = verdict(FINE, complaints=("baseline entry x expired",))
    assert (judged.status, judged.reason) == (Status.FAILED, "baseline entry x expired")


def test_only_a_suppression_of_the_user_that_matched_nothing_is_named():
    unused = SuppressionUse(entry="race:f", matched=0, file="s.txt", line=2)
    shipped = replace(unused, entry="race:g", shipped=True)
    judged = verdict(FINE, suppressions=(unused, replace(unused, matched=1), shipped))
    assert judged.downgrades == ("The suppression race:f (s.txt:2) matched nothing.",)


def test_the_verdict_counts_the_runs_that_showed_what_was_expected():
    seen = replace(FINE, seen=ONE, exit_code=66)
    judged = verdict(seen, FINE, expectation=RACE, expected=(ONE,), once=True)
    assert (judged.met, judged.runs, judged.seconds) == (1, 2, 2.0)


def test_the_rate_counts_runs_with_what_is_requested():
    seen = replace(FINE, seen=frozenset({"one", "two"}))
    assert rate([seen, FINE, replace(FINE, seen=frozenset({"two"}))], frozenset()).found == 2
    wanted = rate([seen, FINE, replace(FINE, seen=frozenset({"two"}))], ONE)
    assert (wanted.found, wanted.runs) == (1, 3)
    assert 0.0 < wanted.low < 1 / 3 < wanted.high < 1.0


CLEAN_RUN = Conclusion(status=VerdictStatus.CLEAN, reason="no new finding")
RACY_RUN = Conclusion(status=VerdictStatus.FINDINGS, reason="1 finding")


def found(*kinds, status=FindingStatus.NEW):
    return tuple(
        DistinctFinding(
            kind=kind,
            title=kind.value,
            fingerprint=kind.name,
            occurrences=1,
            attribution=Attribution.YOURS,
            dialect=Dialect.CXX,
            status=status,
        )
        for kind in kinds
    )


RACES = found(Kind.RACE)
KNOWN = found(Kind.RACE, status=FindingStatus.KNOWN)


@pytest.mark.parametrize(
    ("findings", "names"),
    [
        (RACES, "ThreadSanitizer"),
        (found(Kind.DEADLOCK, Kind.THREAD_LEAK), "ThreadSanitizer"),
        (found(Kind.POSSIBLE_DEADLOCK), "lock recorder"),
        (found(Kind.API_NOT_ATTACHED, Kind.NEVER_RELEASED), "C API contract"),
        (found(Kind.EXCEPTION_LOST, Kind.RACE), "ThreadSanitizer, C API contract"),
        (KNOWN + found(Kind.POSSIBLE_DEADLOCK), "lock recorder"),
        (KNOWN, "python-tsan"),
        ((), "python-tsan"),
    ],
)
def test_the_detectors_that_found_what_fails_are_named(findings, names):
    assert found_by(findings) == names


@pytest.mark.parametrize(
    ("conclusion", "found", "failed", "skipped", "judged"),
    [
        (CLEAN_RUN, (), (), (), (Status.PASSED, "")),
        (CLEAN_RUN, KNOWN, (), (), (Status.PASSED, "")),
        (CLEAN_RUN, (), (), ("no numpy", "later"), (Status.SKIPPED, "no numpy")),
        (CLEAN_RUN, KNOWN, (), ("no numpy",), (Status.PASSED, "")),
        (CLEAN_RUN, (), ("assert 1 == 2", "later"), (), (Status.FAILED, "assert 1 == 2")),
        (CLEAN_RUN, (), ("assert 1 == 2",), ("no numpy",), (Status.FAILED, "assert 1 == 2")),
        (RACY_RUN, RACES, (), (), (Status.FAILED, "ThreadSanitizer: 1 finding")),
        (RACY_RUN, RACES, (), ("no numpy",), (Status.FAILED, "ThreadSanitizer: 1 finding")),
        (RACY_RUN, RACES, ("assert 1 == 2",), (), (Status.FAILED, "assert 1 == 2")),
        (RACY_RUN, (), (), ("no numpy",), (Status.SKIPPED, "no numpy")),
    ],
)
def test_a_marked_test_is_judged_by_its_runs_and_its_own_outcomes(conclusion, found, failed, skipped, judged):
    assert judge_marked_test(conclusion, found=found, failed=failed, skipped=skipped) == judged


def test_a_verdict_keeps_expectation_and_runs_without_their_findings():
    judged = verdict(replace(FINE, findings=("a finding",)), expectation=RACE)
    assert (judged.expectation, judged.observations) == (RACE, (FINE,))
    assert verdict(FINE, complaints=("one", "two")).reason == "one; two"
    assert verdict(FINE, expectation=RACE, missing=("a data race",), expected=(ONE,)).reason == (
        "expected a data race, which was not seen"
    )


def test_a_used_suppression_is_not_named():
    used = SuppressionUse(entry="race:f", matched=2, file="s.txt", line=2)
    assert verdict(FINE, suppressions=(used,)).downgrades == ()
