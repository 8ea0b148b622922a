from __future__ import annotations

import pytest
from report_samples import OF_THE_RUNTIME

from python_tsan.detect.reading import read_logs
from python_tsan.result.build import Facts, Standing, build_result
from python_tsan.result.codec import encode_result
from python_tsan.result.finding import FindingStatus, PythonFrame, PythonStack
from python_tsan.result.model import Input, VerdictStatus
from python_tsan.tsan.digest import Digest
from python_tsan.tsan.finding import Kind


def test_one_defect_is_one_finding_with_every_place(report_of):
    report = report_of("race_heap")
    (finding,) = report.findings
    assert finding.kind is Kind.RACE
    assert finding.occurrences == 2
    assert [place.line for place in finding.sources] == [2, 40]
    assert finding.raw.startswith("WARNING: ThreadSanitizer: data race (pid=")
    assert report.verdict.status is VerdictStatus.FINDINGS
    assert report.verdict.reason == "1 finding"


def test_findings_keep_the_order_of_first_appearance(report_of):
    first = [finding.kind for finding in report_of("deadlock", "race_global").findings]
    assert first == [Kind.DEADLOCK, Kind.RACE]
    assert [finding.kind for finding in report_of("race_global", "deadlock").findings] == first[::-1]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (FindingStatus.NEW, VerdictStatus.FINDINGS),
        (FindingStatus.EXPIRED, VerdictStatus.FINDINGS),
        (FindingStatus.KNOWN, VerdictStatus.CLEAN),
        (FindingStatus.EXPECTED, VerdictStatus.CLEAN),
        (FindingStatus.SUPPRESSED, VerdictStatus.CLEAN),
    ],
)
def test_only_new_and_expired_findings_fail(report_of, status, verdict):
    key = report_of("race_global").findings[0].fingerprint
    standing = Standing(status=status, reason="a reason", link="a link", expires="2027-01-01")
    report = report_of("race_global", standings={key: standing})
    (finding,) = report.findings
    assert (finding.status, finding.reason, finding.link, finding.expires) == (
        status,
        "a reason",
        "a link",
        "2027-01-01",
    )
    assert report.verdict.status is verdict
    assert report.failing == ((finding,) if verdict is VerdictStatus.FINDINGS else ())


def test_a_python_stack_belongs_to_one_finding(report_of):
    key = report_of("race_global").findings[0].fingerprint
    stack = PythonStack(frames=(PythonFrame(function="work", file="a.py", line=3),), thread="T2")
    findings = report_of("race_global", "deadlock", python_stacks={key: stack}).findings
    assert [finding.python_stack for finding in findings] == [stack, None]


def test_the_runtimes_last_words_are_never_clean(report_of):
    report = report_of("segv")
    assert report.verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert "SEGV on unknown address" in report.verdict.reason
    assert report_of("segv", "race_global").verdict.status is VerdictStatus.FINDINGS


def test_silence_is_not_clean_unless_the_user_knows_better():
    silent = (Input(file="ci.log", size=10),)
    assert build_result(Digest(), Facts(inputs=silent)).verdict.status is VerdictStatus.COULD_NOT_JUDGE
    assert build_result(Digest(), Facts(inputs=silent, silent_is_clean=True)).verdict.status is VerdictStatus.CLEAN
    assert build_result(Digest(), Facts(silent_is_clean=True)).verdict.status is VerdictStatus.COULD_NOT_JUDGE


def test_a_runtime_that_speaks_of_no_finding_is_clean(report_of):
    assert report_of("suppressed").verdict.status is VerdictStatus.CLEAN


def test_what_could_not_be_read_is_shown_with_the_verdict():
    inputs = (Input(file="a.log", spoke=True), Input(file="b.log", problem="cannot be read: gone"))
    report = build_result(Digest(), Facts(inputs=inputs))
    assert report.verdict.downgrades == ("b.log: cannot be read: gone",)


def test_every_golden_finding_has_an_origin_and_a_title(everything):
    assert {finding.kind for finding in everything.findings} == OF_THE_RUNTIME
    for finding in everything.findings:
        assert finding.origins
        assert finding.title
        assert finding.occurrences == len(finding.sources)
    assert sum(finding.occurrences for finding in everything.findings) == everything.blocks


def test_findings_that_are_read_once_are_the_same(golden):
    digest = read_logs(golden("race_global", "deadlock", "race_heap")).digest
    whole, once = build_result(digest), build_result(digest, once=True)
    assert not isinstance(once.findings, tuple)
    assert (tuple(once.findings), len(once.findings)) == (whole.findings, 3)
    assert (once.findings[-1], tuple(once.findings[1:])) == (whole.findings[-1], whole.findings[1:])
    assert encode_result(once) == encode_result(whole)
