from __future__ import annotations

from dataclasses import replace

import pytest
from runs import RACY, run, verdict

from python_tsan.checking.model import Status
from python_tsan.cli.main import main
from python_tsan.expectation import Outcome
from python_tsan.render.findings import report_of_run
from python_tsan.render.store import open_run, save_run
from python_tsan.report.model import FindingStatus, VerdictStatus


def racy(**parts):
    """Return a verdict whose one observation has one finding."""
    return replace(verdict(**parts), observations=(RACY,))


def test_a_finding_that_a_check_is_there_to_see_is_expected():
    report = report_of_run(run(racy(check="gil/racy", outcome=Outcome.RACE), verdict()))
    (finding,) = report.findings
    assert finding.status is FindingStatus.EXPECTED
    assert finding.reason == "gil/racy is there to show it"
    assert report.verdict.status is VerdictStatus.CLEAN
    assert report.verdict.reason == "2 checks as expected"
    assert report.provenance.folder == run().id


@pytest.mark.parametrize("order", [1, -1])
def test_a_surprise_to_one_check_is_new_whatever_another_expects(order):
    checks = [
        racy(check="gil/racy", outcome=Outcome.RACE),
        racy(check="gil/safe", status=Status.FAILED, met=0, reason="a race"),
    ]
    report = report_of_run(run(*checks[::order]))
    (finding,) = report.findings
    assert (finding.status, finding.reason) == (FindingStatus.NEW, "seen by gil/safe")
    assert finding.occurrences == report.blocks == 2
    assert report.verdict.status is VerdictStatus.FINDINGS


def test_a_doubt_stays_a_doubt():
    report = report_of_run(run(verdict(status=Status.COULD_NOT_JUDGE, met=0, reason="no canary")))
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
