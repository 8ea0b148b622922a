"""The checks of ``checks/`` run over a harness that plays canned logs: what pytest makes of them, and the exit."""

import os
import threading
import time
from pathlib import Path

import pytest
from staged import CANARY, CLEAN, RACES, scenario

from python_tsan.checking import session
from python_tsan.checking.session import run_checks
from python_tsan.checking.subjects import Subjects
from python_tsan.errors import SubjectError, UsageError
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.result.model import Status


@pytest.fixture
def checks(tmp_path, monkeypatch):
    """Return a function that adds a file to a checks folder of its own, which has a canary's file already."""
    folder = tmp_path / "checks"
    folder.mkdir()
    monkeypatch.setattr(session, "checks_folder", lambda: folder)

    def add(name, group, body="    subject.must_pass()", function="test_scenario", mark=""):
        text = f"import pytest\npytestmark = pytest.mark.scenarios({group!r}{mark})\ndef {function}(subject):\n{body}\n"
        (folder / name).write_text(text)

    add("test_canary.py", "canary")
    return add


def by_name(verdicts):
    return {one.check: one for one in verdicts}


def test_one_verdict_for_each_check_canary_first(checks, lane_setup):
    checks("test_alpha.py", "gil")
    told = []
    setup = lane_setup(scenario("racy", "gil", RACES), scenario("safe", "gil"), plays={"racy": {"race": True}})
    verdicts = run_checks(setup, on_verdict=told.append)
    assert [one.check for one in verdicts] == ["canary/race", "canary/safe", "alpha/racy", "alpha/safe"]
    assert {one.status for one in verdicts} == {Status.PASSED}
    assert tuple(told) == verdicts
    assert [one.runs for one in verdicts] == [3, 1, 3, 1]


def test_repeats_are_folders_of_their_own(checks, lane_setup):
    checks("test_alpha.py", "gil")
    setup = lane_setup(scenario("safe", "gil"), repeats=2)
    verdict = by_name(run_checks(setup))["alpha/safe"]
    assert [path.relative_to(setup.folder) for path in (one.folder for one in verdict.observations)] == [
        Path("safe/1"),
        Path("safe/2"),
    ]


@pytest.mark.parametrize(
    ("plays", "words"),
    [
        ({"canary_race": {}}, "canary_race: expected a data race"),
        ({"canary_safe": {"race": True}}, "canary_safe: expected no finding"),
        ({"canary_race": {"exit": 66}}, "canary_race: exit 66, but no finding"),
    ],
    ids=["race not found", "safe twin not clean", "logs lost"],
)
def test_without_a_sound_canary_nothing_is_judged_nor_run(checks, lane_setup, started, plays, words):
    checks("test_alpha.py", "gil")
    verdicts = run_checks(lane_setup(scenario("safe", "gil"), plays=plays))
    verdict = by_name(verdicts)["alpha/safe"]
    assert verdict.status is Status.COULD_NOT_JUDGE
    assert verdict.reason.startswith("the canary failed: ")
    assert words in verdict.reason
    assert "safe" not in started()


@pytest.mark.parametrize("canary", [(), CANARY[:1], CANARY[1:]], ids=["none", "race only", "safe only"])
def test_a_harness_without_its_canary_pair_is_not_believed(checks, lane_setup, canary):
    checks("test_alpha.py", "gil")
    verdict = by_name(run_checks(lane_setup(scenario("safe", "gil"), canary=canary)))["alpha/safe"]
    assert verdict.status is Status.COULD_NOT_JUDGE
    assert "no canary pair" in verdict.reason


def test_a_check_that_knows_more_fails_a_scenario_that_passed(checks, lane_setup):
    checks("test_alpha.py", "gil", "    assert subject.observations[0].report['values']['n'] > 5, 'n is too small'")
    setup = lane_setup(scenario("safe", "gil"), plays={"safe": {"values": {"n": 1}}})
    verdict = by_name(run_checks(setup))["alpha/safe"]
    assert (verdict.status, verdict.reason) == (Status.FAILED, "n is too small")


def test_a_check_of_its_own_has_its_own_name(checks, lane_setup):
    checks("test_alpha.py", "gil", function="test_says_who")
    assert "alpha/safe: says who" in by_name(run_checks(lane_setup(scenario("safe", "gil"))))


def test_a_check_may_be_about_one_scenario(checks, lane_setup):
    checks("test_alpha.py", "gil", mark=", name='one'")
    names = by_name(run_checks(lane_setup(scenario("one", "gil"), scenario("two", "gil"))))
    assert "alpha/one" in names
    assert "alpha/two" not in names


@pytest.mark.usefixtures("checks")
def test_a_scenario_without_a_check_could_not_be_judged(lane_setup):
    verdict = by_name(run_checks(lane_setup(scenario("forgotten", "new"))))["unchecked/forgotten"]
    assert verdict.status is Status.COULD_NOT_JUDGE


def test_what_is_not_there_is_skipped_with_its_reason(checks, lane_setup, started):
    checks("test_alpha.py", "gil")
    verdict = by_name(run_checks(lane_setup(scenario("sums", "gil", needs=("gil", "numpy")))))["alpha/sums"]
    assert (verdict.status, verdict.reason, verdict.runs) == (Status.SKIPPED, "needs numpy", 0)
    assert "sums" not in started()


def test_a_check_may_need_more_than_its_scenario(checks, lane_setup):
    checks("test_alpha.py", "gil", mark=", needs=['gil']")
    setup = lane_setup(scenario("safe", "gil"), available=frozenset({"free_threading"}))
    verdict = by_name(run_checks(setup))["alpha/safe"]
    assert (verdict.status, verdict.reason) == (Status.SKIPPED, "needs a GIL")


def test_an_expected_race_is_repeated_by_what_is_expected_of_this_build(checks, lane_setup):
    checks("test_alpha.py", "gil")
    setup = lane_setup(scenario("safe", "gil"), expected=lambda one: RACES if one.name == "safe" else one.expect)
    verdict = by_name(run_checks(setup))["alpha/safe"]
    assert (verdict.status, verdict.runs, verdict.expectation) == (Status.FAILED, 3, RACES)


def test_an_outcome_that_nobody_has_measured_is_skipped(checks, lane_setup):
    checks("test_alpha.py", "gil")
    setup = lane_setup(scenario("row", "gil", case="row"), expected=lambda one: None if one.case else one.expect)
    verdict = by_name(run_checks(setup))["alpha/row"]
    assert (verdict.status, "has not been measured" in verdict.reason) == (Status.SKIPPED, True)


def test_a_preload_serves_a_need(checks, lane_setup, tmp_path):
    checks("test_alpha.py", "gil")
    library = tmp_path / "none.so"
    setup = lane_setup(scenario("counts", "gil", needs=("gil_counter",)), preloads={"gil_counter": library})
    verdict = by_name(run_checks(setup))["alpha/counts"]
    assert verdict.runs == 1
    # The loader says so, on standard error, when a library that it is to preload cannot be loaded.
    assert str(library) in (verdict.observations[0].folder / "stderr.txt").read_text()


def test_the_other_lanes_scenarios_are_no_checks(checks, lane_setup):
    checks("test_alpha.py", "gil")
    setup = lane_setup(scenario("deep", "gil", lanes=(Lane.FULL,)), scenario("both", "gil"), lane=Lane.FAST)
    assert set(by_name(run_checks(setup))) == {"canary/race", "canary/safe", "alpha/both"}


def test_a_keyword_chooses_and_keeps_the_canary(checks, lane_setup):
    checks("test_alpha.py", "gil")
    setup = lane_setup(scenario("one", "gil"), scenario("two", "gil"))
    assert set(by_name(run_checks(setup, keyword="two"))) == {"canary/race", "canary/safe", "alpha/two"}


@pytest.mark.parametrize("above", [0, 1, 2])
def test_a_keyword_is_no_folder_on_the_way_to_the_checks(checks, lane_setup, tmp_path, above):
    checks("test_alpha.py", "gil")
    folder = [tmp_path / "checks", *(tmp_path / "checks").parents][above]
    with pytest.raises(UsageError, match="no check matches"):
        run_checks(lane_setup(scenario("one", "gil")), keyword=folder.name)


@pytest.mark.parametrize("shown", ["alpha/one", "beta/two: says who"])
def test_a_keyword_may_be_the_name_that_is_shown(checks, lane_setup, shown):
    checks("test_alpha.py", "gil")
    checks("test_beta.py", "gil", function="test_says_who")
    setup = lane_setup(scenario("one", "gil"), scenario("two", "gil"))
    keyword = shown.partition(" ")[0]  # a space would end the word
    assert set(by_name(run_checks(setup, keyword=keyword))) == {"canary/race", "canary/safe", shown}


def test_files_choose_and_keep_the_canary(checks, lane_setup):
    checks("test_alpha.py", "gil")
    checks("test_beta.py", "beta")
    setup = lane_setup(scenario("one", "gil"), scenario("two", "beta"))
    assert set(by_name(run_checks(setup, files=["test_beta.py"]))) == {
        "canary/race",
        "canary/safe",
        "beta/two",
    }


def test_a_keyword_that_matches_nothing_is_a_mistake(checks, lane_setup):
    checks("test_alpha.py", "gil")
    with pytest.raises(UsageError, match="no check matches 'nothing'"):
        run_checks(lane_setup(scenario("one", "gil")), keyword="nothing")


@pytest.mark.usefixtures("checks")
def test_an_unknown_keyword_is_a_mistake(lane_setup):
    with pytest.raises(UsageError, match="expression"):
        run_checks(lane_setup(), keyword="(")


@pytest.mark.usefixtures("checks")
def test_a_check_that_cannot_be_loaded_is_reported(lane_setup, tmp_path):
    (tmp_path / "checks" / "test_broken.py").write_text("import no_such_module\n")
    with pytest.raises(SubjectError, match="no_such_module"):
        run_checks(lane_setup())


def test_a_check_that_breaks_before_it_judges(checks, lane_setup):
    checks("test_alpha.py", "gil", "    raise ValueError('oops')")
    verdict = by_name(run_checks(lane_setup(scenario("safe", "gil"))))["alpha/safe"]
    assert (verdict.status, "oops" in verdict.reason) == (Status.FAILED, True)


@pytest.mark.usefixtures("checks")
def test_the_callers_pytest_settings_stay_out(lane_setup, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    assert len(run_checks(lane_setup())) == 2
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option"


def test_hanging_subjects_run_next_to_the_others(checks, lane_setup):
    checks("test_alpha.py", "gil")
    hangs = Expectation(outcome=Outcome.HANG)
    names = ("h1", "h2", "h3")
    setup = lane_setup(
        *(scenario(name, "gil", hangs, deadline=1.0) for name in names),
        plays={name: {"sleep": 60} for name in names},
        jobs=1,
    )
    started = time.monotonic()
    verdicts = by_name(run_checks(setup))
    assert all(verdicts[f"alpha/{name}"].status is Status.PASSED for name in names)
    assert time.monotonic() - started < sum(one.seconds for one in verdicts.values())


def test_closing_ends_what_still_runs(lane_setup, started):
    setup = lane_setup(scenario("long", "gil"), plays={"long": {"sleep": 60}})
    subjects = Subjects(setup)
    subjects.start(["long"])
    while "long" not in started():
        time.sleep(0.02)
    before = time.monotonic()
    subjects.close()
    assert time.monotonic() - before < 10
    assert not [thread for thread in threading.enumerate() if "subject" in thread.name]


def test_a_scenario_is_run_once_however_often_it_is_asked_for(lane_setup, started):
    subjects = Subjects(lane_setup(scenario("one", "gil", CLEAN)))
    assert subjects.observations("one") == subjects.observations("one")
    subjects.close()
    assert started() == ["one"]


def test_interruption_ends_the_subjects_and_is_passed_on(checks, lane_setup):
    checks("test_alpha.py", "gil", "    raise KeyboardInterrupt")
    setup = lane_setup(scenario("long", "gil"), plays={"long": {"sleep": 60}})
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_checks(setup)
    assert time.monotonic() - before < 20


def test_the_real_checks_are_found():
    assert (session.checks_folder() / "test_canary.py").is_file()
