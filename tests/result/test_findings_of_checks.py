from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from runs import RACY, run, verdict

from python_tsan.cli.main import main
from python_tsan.expectation import Outcome
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import KnownRace, Status, VerdictStatus
from python_tsan.result.store import open_run, save_run


def racy(**parts):
    """Return a verdict whose one observation has one finding."""
    return replace(verdict(**parts), observations=(replace(RACY, folder=Path("/runs", parts["check"], "1")),))


def test_a_finding_that_a_check_is_there_to_see_is_expected():
    report = run(racy(check="gil/racy", outcome=Outcome.RACE), verdict())
    (finding,) = report.findings
    assert finding.status is FindingStatus.EXPECTED
    assert finding.reason == "expected by gil/racy"
    assert report.verdict.status is VerdictStatus.CLEAN
    assert report.verdict.reason == "2 checks as expected"


@pytest.mark.parametrize("order", [1, -1])
def test_a_surprise_to_one_check_is_new_even_if_another_check_expects_it(order):
    checks = [
        racy(check="gil/racy", outcome=Outcome.RACE),
        racy(check="gil/safe", status=Status.FAILED, met=0, reason="a race"),
    ]
    report = run(*checks[::order])
    (finding,) = report.findings
    assert (finding.status, finding.reason) == (FindingStatus.NEW, "seen by gil/safe")
    assert finding.occurrences == report.blocks == 2
    assert report.verdict.status is VerdictStatus.FINDINGS


def test_runs_that_two_checks_judge_are_counted_once():
    checks = [racy(check="gil/racy", outcome=Outcome.RACE), racy(check="gil/racy", outcome=Outcome.RACE)]
    report = run(*checks)
    assert report.findings[0].occurrences == report.blocks == 1
    assert [subject.name for subject in report.subjects] == ["racy"]


def test_a_race_that_was_set_aside_is_suppressed_with_its_reason():
    aside = KnownRace(finding=RACY.findings[0], suppression="race:f", reason="an issue")
    seen = replace(RACY, findings=(), known=(aside,), exit_code=66)
    (finding,) = run(replace(verdict(), observations=(seen,))).findings
    assert (finding.status, finding.reason) == (FindingStatus.SUPPRESSED, "an issue")


def test_a_doubt_stays_a_doubt():
    report = run(verdict(status=Status.COULD_NOT_JUDGE, met=0, reason="no canary"))
    assert report.verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert report.findings == ()


def test_the_verb_reads_the_folder_of_a_verified_run(tmp_path, capsys):
    folder = open_run(tmp_path)
    save_run(folder, run(racy(check="gil/racy", status=Status.FAILED, outcome=Outcome.CLEAN, met=0, reason="x")))
    assert main(["report", str(folder.path)]) == 1
    told = capsys.readouterr().out
    assert "data race" in told
    assert "std::vector<int>" in told
    assert main(["report", str(folder.path / "run.json"), "--format", "sarif"]) == 1
