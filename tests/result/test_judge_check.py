"""Each gate is held against what it guards: every observation under an expectation that it does not meet."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from observed import CLEAN, CRASHING, DEAD, DEADLOCK, HANGING, HUNG, LOST, RACY, RACY_TWIN, SAFE_TWIN, finding

from python_tsan.expectation import ExpectedFinding, Lane
from python_tsan.result.judge.check import judge_check
from python_tsan.result.model import Status, Unparsed


def verdict(expectation, *observations):
    return judge_check("group/scenario", Lane.FULL, expectation, observations)


@pytest.mark.parametrize(
    ("expectation", "observation"),
    [(SAFE_TWIN, CLEAN), (RACY_TWIN, RACY), (HANGING, HUNG), (DEADLOCK, LOST), (CRASHING, DEAD)],
    ids=["clean", "race", "hang", "error", "crash"],
)
def test_what_is_expected_passes(expectation, observation):
    passed = verdict(expectation, observation, observation)
    assert (passed.status, passed.met, passed.runs) == (Status.PASSED, 2, 2)


@pytest.mark.parametrize("expectation", [SAFE_TWIN, RACY_TWIN, HANGING, DEADLOCK, CRASHING])
@pytest.mark.parametrize("observation", [CLEAN, RACY, HUNG, LOST, DEAD])
def test_nothing_passes_under_anothers_expectation(expectation, observation):
    own = {id(SAFE_TWIN): CLEAN, id(RACY_TWIN): RACY, id(HANGING): HUNG, id(DEADLOCK): LOST, id(CRASHING): DEAD}
    judged = verdict(expectation, observation)
    assert (judged.status is Status.PASSED) is (own[id(expectation)] is observation)
    assert judged.status is Status.PASSED or judged.reason


def failed(expectation, *observations):
    judged = verdict(expectation, *observations)
    assert judged.status is Status.FAILED
    return judged.reason


def doubted(expectation, *observations):
    judged = verdict(expectation, *observations)
    assert judged.status is Status.COULD_NOT_JUDGE
    return judged.reason


def test_racy_twin_under_the_safe_twins_expectation():
    assert failed(SAFE_TWIN, RACY, RACY, RACY) == (
        "expected no finding, saw 1: a data race (read, write) on python_tsan::g_racy_counter "
        "in python_tsan::increment_unguarded in 3 of 3 runs"
    )


def test_safe_twin_under_the_racy_twins_expectation():
    assert failed(RACY_TWIN, CLEAN, CLEAN, CLEAN) == (
        "expected a data race (read, write) on g_racy_counter in increment_unguarded, saw none in 3 of 3 runs"
    )


def test_a_race_missed_once_is_reported_and_fails():
    judged = verdict(RACY_TWIN, RACY, CLEAN, RACY)
    assert (judged.status, judged.met, judged.runs) == (Status.FAILED, 2, 3)
    assert judged.reason.endswith("saw none in 1 of 3 runs")


def test_a_race_under_an_exit_code_of_zero_is_a_race():
    assert "expected no finding" in failed(SAFE_TWIN, replace(RACY, exit_code=0))


def test_an_extra_finding_fails():
    extra = replace(RACY, findings=(finding(), finding(location="g_other")))
    assert failed(RACY_TWIN, extra).startswith("unexpected: a data race (read, write) on python_tsan::g_other")


def test_the_same_finding_twice_is_one_too_many():
    assert "unexpected" in failed(RACY_TWIN, replace(RACY, findings=(finding(), finding())))


@pytest.mark.parametrize(
    "other",
    [
        {"location": "g_racy_counter_2"},
        {"location": "counter"},
        {"function": "increment_guarded"},
        {"previous": "atomic write"},
        {"previous": "read"},
    ],
    ids=str,
)
def test_a_race_elsewhere_is_not_the_expected_one(other):
    assert "saw a data race" in failed(RACY_TWIN, replace(RACY, findings=(finding(**other),)))


def test_another_kind_is_not_the_expected_one():
    leak = replace(RACY_TWIN, findings=(ExpectedFinding(kind="thread leak"),))
    assert failed(leak, RACY).startswith("expected a thread leak, saw a data race")


def test_of_several_there_may_be_any_number_but_none():
    several = replace(RACY_TWIN, findings=(replace(RACY_TWIN.findings[0], several=True),))
    twice = replace(RACY, findings=(finding(), finding()))
    assert verdict(several, RACY, twice).status is Status.PASSED
    assert "saw none" in failed(several, CLEAN)
    assert "unexpected" in failed(several, replace(RACY, findings=(finding(), finding(location="other"))))


def test_a_finding_next_to_a_hang_fails():
    assert "unexpected" in failed(HANGING, replace(HUNG, findings=(finding(),)))


def test_a_finding_next_to_an_error_fails():
    assert "unexpected" in failed(DEADLOCK, replace(LOST, findings=(finding(),)))


def test_a_finding_next_to_a_crash_fails():
    assert "unexpected" in failed(CRASHING, replace(DEAD, findings=(finding(),)))


def test_another_crash_is_not_the_expected_one():
    assert failed(CRASHING, replace(DEAD, last_words="Fatal Python error: none_dealloc")).startswith(
        "it ended by signal 6, and printed nothing like 'nanobind error: .* reference count'"
    )


def test_a_crash_that_the_sanitizer_reports_is_one():
    told = replace(CLEAN, exit_code=66, crashes=("SEGV on unknown address",))
    assert judge_check("x", Lane.FULL, replace(CRASHING, error="SEGV"), [told]).status is Status.PASSED


def test_a_crash_is_sought_in_the_reports_and_in_the_last_words():
    both = replace(CLEAN, exit_code=66, crashes=("SEGV on unknown address",), last_words="Fatal Python error: x")
    for error in ("SEGV", "Fatal Python", "address\nFatal"):
        assert verdict(replace(CRASHING, error=error), both).status is Status.PASSED
    assert failed(CRASHING, both) == (
        "it crashed: SEGV on unknown address, and printed nothing like 'nanobind error: .* reference count'"
    )


def test_a_subject_that_does_not_crash_fails():
    assert failed(CRASHING, CLEAN) == "expected a crash, but it ended with exit 0"


def test_a_hang_is_no_crash():
    assert "expected a crash, but it still running" not in failed(CRASHING, HUNG)
    assert failed(CRASHING, HUNG).startswith("expected a crash, but it was still running at its deadline")


def test_a_missing_log_folder_cannot_be_judged():
    assert "log folder is gone" in doubted(SAFE_TWIN, replace(CLEAN, problem="the log folder is gone"))


@pytest.mark.parametrize("expectation", [SAFE_TWIN, RACY_TWIN, HANGING, DEADLOCK, CRASHING])
def test_a_runtime_that_gave_up_cannot_be_judged(expectation):
    gave_up = replace(CLEAN, exit_code=66, fatal=("FATAL: ThreadSanitizer: unexpected memory mapping",))
    assert "unexpected memory mapping" in doubted(expectation, gave_up)


def test_exit_66_without_a_finding_cannot_be_judged():
    assert doubted(SAFE_TWIN, replace(CLEAN, exit_code=66)).startswith("exit 66, but no finding")


def test_one_doubt_outweighs_failures():
    assert "gone" in doubted(RACY_TWIN, CLEAN, CLEAN, replace(CLEAN, problem="the log folder is gone"))


def test_no_runs_cannot_be_judged():
    assert doubted(SAFE_TWIN) == "no run of it"


def test_lines_that_are_not_understood_are_never_clean():
    three = Unparsed(count=3, samples=("ThreadSanitizer: what is this",))
    assert doubted(SAFE_TWIN, replace(CLEAN, unparsed=three)) == (
        "3 lines of the log were not understood, so it cannot be called clean: ThreadSanitizer: what is this"
    )


@pytest.mark.parametrize("expectation", [SAFE_TWIN, RACY_TWIN, HANGING, DEADLOCK])
def test_one_line_that_is_not_understood_is_enough(expectation):
    assert "1 line of the log was not understood" in doubted(expectation, replace(CLEAN, unparsed=Unparsed(count=1)))


def test_lines_that_are_not_understood_next_to_findings_or_a_crash_leave_no_doubt():
    one = Unparsed(count=1)
    assert verdict(RACY_TWIN, replace(RACY, unparsed=one)).status is Status.PASSED
    crash = replace(CLEAN, exit_code=66, crashes=("SEGV on unknown address",), unparsed=one)
    assert verdict(replace(CRASHING, error="SEGV"), crash).status is Status.PASSED


def test_a_refused_command_line_cannot_be_judged():
    refused = replace(CLEAN, exit_code=2)
    assert doubted(SAFE_TWIN, refused) == "the subject refused its command line (exit 2)"
    # At its deadline the harness was ended, its code does not matter then.
    assert failed(SAFE_TWIN, replace(refused, timed_out=True)).startswith("still running at its deadline")


def test_wrong_values_fail():
    wanted = replace(SAFE_TWIN, values={"count": 800})
    assert "expected count = 800, got 796" in failed(wanted, replace(CLEAN, report={"values": {"count": 796}}))
    assert failed(wanted, CLEAN) == "expected count = 800, but the subject did not report it"


def test_true_is_not_one():
    wanted = replace(SAFE_TWIN, values={"count": 1})
    assert "got True" in failed(wanted, replace(CLEAN, report={"values": {"count": True}}))


def test_values_count_for_every_outcome():
    assert "expected n = 1, got 2" in failed(
        replace(RACY_TWIN, values={"n": 1}), replace(RACY, report={"values": {"n": 2}})
    )


def test_exit_1_fails_a_clean_scenario():
    assert failed(SAFE_TWIN, replace(CLEAN, exit_code=1)) == "ended with exit 1"


def test_an_unexpected_error_fails():
    assert "expected no error, got _frozen_importlib._DeadlockError" in failed(SAFE_TWIN, LOST)


def test_another_errors_text_fails():
    other = replace(LOST, report={"error": {"type": "ImportError", "text": "no", "thread": "T2"}})
    assert failed(DEADLOCK, other).endswith("got ImportError: no")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ({"type": "ImportError", "text": "no"}, "ImportError: no"),
        ({"text": "no"}, "?: no"),
        ({"type": "ImportError"}, "ImportError: "),
        ("the harness was stopped", "the harness was stopped"),
    ],
)
def test_an_error_is_shown_as_far_as_it_is_known(error, shown):
    other = replace(LOST, report={"error": error})
    assert failed(SAFE_TWIN, other) == f"expected no error, got {shown}"
    assert failed(DEADLOCK, other) == f"expected an error like {DEADLOCK.error!r}, got {shown}"


def test_another_losing_thread_fails():
    other = replace(LOST, report={**LOST.report, "error": {**LOST.report["error"], "thread": "T1"}})
    assert failed(DEADLOCK, other) == "expected thread 'T2' to lose, but it was 'T1'"


def test_a_second_loser_fails():
    both = replace(LOST, report={**LOST.report, "values": {"lost": "T1 T2"}})
    assert "expected lost = 'T2', got 'T1 T2'" in failed(DEADLOCK, both)


def test_a_hang_that_does_not_hang_fails():
    assert failed(HANGING, CLEAN).startswith("expected a hang, but it ended after 1.0 s with exit 0")


def test_a_hang_without_stacks_fails():
    assert failed(HANGING, replace(HUNG, stacks=())) == "it hung as expected, but no thread's stack could be saved"


def test_a_hang_must_be_the_one_that_is_expected():
    wanted = replace(HANGING, waits=("T1 waits for a, held by T2",))
    assert verdict(wanted, replace(HUNG, waits=wanted.waits)).status is Status.PASSED
    words = "it hung, but not as expected: expected T1 waits for a, held by T2"
    assert failed(wanted, HUNG) == f"{words}; nothing had been noted"
    assert failed(wanted, replace(HUNG, waits=("T1 is at b.py:1", "T2 ended"))) == f"{words}; T1 is at b.py:1; T2 ended"
    both = replace(wanted, waits=(*wanted.waits, "T2 waits for b, held by T1"))
    assert failed(both, HUNG) == f"{words}; T2 waits for b, held by T1; nothing had been noted"


@pytest.mark.parametrize("expectation", [SAFE_TWIN, RACY_TWIN, DEADLOCK])
def test_a_hang_that_nobody_expects_fails_and_names_its_stacks(expectation):
    assert "still running at its deadline of 4.2 s (stacks: stacks-native.txt)" in failed(expectation, HUNG)


def test_a_hang_with_no_stacks_says_so():
    assert "none could be saved" in failed(SAFE_TWIN, replace(HUNG, stacks=()))


@pytest.mark.parametrize("expectation", [SAFE_TWIN, RACY_TWIN, DEADLOCK])
def test_death_by_signal_fails(expectation):
    assert "ended by signal 11" in failed(expectation, replace(CLEAN, exit_code=-11, report=LOST.report))


def test_a_crash_that_the_runtime_reports_fails():
    crash = replace(CLEAN, exit_code=66, crashes=("==1==ERROR: ThreadSanitizer: SEGV on unknown address",))
    assert "crashed: ==1==ERROR" in failed(SAFE_TWIN, crash)


def test_reasons_are_counted():
    judged = verdict(SAFE_TWIN, replace(CLEAN, exit_code=1), RACY, replace(CLEAN, exit_code=1), CLEAN)
    assert judged.reason == (
        "ended with exit 1 in 2 of 4 runs; expected no finding, saw 1: a data race (read, write) on "
        "python_tsan::g_racy_counter in python_tsan::increment_unguarded in 1 of 4 runs"
    )
    assert judged.seconds == 4.0


def test_a_verdict_keeps_its_evidence():
    judged = verdict(SAFE_TWIN, RACY)
    assert judged.observations[0].folder == Path("/run/x/1")
    assert (judged.check, judged.lane, judged.expectation) == ("group/scenario", Lane.FULL, SAFE_TWIN)
    assert verdict(RACY_TWIN, RACY).expectation == RACY_TWIN


def test_a_race_that_is_found_has_its_rate_and_a_repeated_run_its_reason():
    assert verdict(RACY_TWIN, RACY, RACY).reason == "found in 2 of 2 (at least 22 % with 95 % confidence)"
    disturbed = replace(CLEAN, disturbed="the machine slept")
    other = replace(CLEAN, disturbed="the disk was full")
    assert verdict(SAFE_TWIN, CLEAN, disturbed, other).reason == "2 of 3 runs repeated: the machine slept"


def test_more_reasons_than_a_reader_wants_are_counted():
    runs = [replace(CLEAN, exit_code=code) for code in (3, 4, 5, 6, 7)]
    assert verdict(SAFE_TWIN, *runs).reason.endswith("ended with exit 5 in 1 of 5 runs; and 2 other reasons")


GIL_IS_BACK = replace(CLEAN, report={"gil": {"built": False, "enabled": True, "enabled_by": "spam"}, "values": {}})


@pytest.mark.parametrize("expectation", [SAFE_TWIN, RACY_TWIN])
def test_a_gil_that_came_back_is_reported_and_never_judged_as_free_threaded(expectation):
    words = (
        "the GIL came back: {} does not declare that it can do without (Py_mod_gil), "
        "so nothing was seen of a free-threaded build"
    )
    assert doubted(expectation, GIL_IS_BACK) == words.format("spam")
    unnamed = replace(GIL_IS_BACK, report={"gil": {"built": False, "enabled": True}})
    assert doubted(expectation, unnamed) == words.format("a module")
    racy = replace(RACY, report=GIL_IS_BACK.report)
    assert "the GIL came back" in doubted(expectation, racy)


def test_what_is_about_a_gil_that_comes_back_is_judged():
    about = replace(SAFE_TWIN, values={"gil_enabled_by": "spam"})
    back = replace(GIL_IS_BACK, report={**GIL_IS_BACK.report, "values": {"gil_enabled_by": "spam"}})
    assert verdict(about, back).status is Status.PASSED
    assert "gil_enabled_by" in failed(about, GIL_IS_BACK)


@pytest.mark.parametrize(
    "gil",
    [
        {"built": True, "enabled": True, "enabled_by": ""},
        {"built": False, "enabled": False},
        {"enabled": True},
        None,
        "odd",
    ],
)
def test_a_gil_that_belongs_there_or_stayed_away_is_no_doubt(gil):
    assert verdict(SAFE_TWIN, replace(CLEAN, report={"gil": gil})).status is Status.PASSED


def test_what_leaves_a_check_unmet_is_reported_in_full():
    assert failed(DEADLOCK, CLEAN) == "expected an error, and no error was seen"
    two = replace(HUNG, stacks=(Path("/r/stacks-native.txt"), Path("/r/stacks-python.txt")), seconds=4.26)
    assert failed(SAFE_TWIN, two) == (
        "still running at its deadline of 4.3 s (stacks: stacks-native.txt, stacks-python.txt)"
    )
    assert doubted(SAFE_TWIN, replace(CLEAN, unparsed=Unparsed(count=2))) == (
        "2 lines of the log were not understood, so it cannot be called clean"
    )


def test_only_the_doubts_are_named_where_a_run_leaves_one():
    assert doubted(RACY_TWIN, CLEAN, replace(CLEAN, problem="the log folder is gone")) == (
        "the log folder is gone in 1 of 2 runs"
    )


def test_all_that_matters_of_a_passed_check_is_reported():
    disturbed = replace(RACY, disturbed="the machine slept")
    rate = "found in 2 of 2 (at least 22 % with 95 % confidence)"
    assert verdict(RACY_TWIN, RACY, disturbed).reason == f"{rate}; 1 of 2 runs repeated: the machine slept"
