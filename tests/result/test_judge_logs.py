"""Logs judged by themselves: what fails, what leaves a doubt, and what is clean."""

import pytest

from python_tsan.result.finding import Attribution, DistinctFinding, FindingStatus
from python_tsan.result.judge.logs import doubts_about_logs, judge_logs, shortfalls_of_logs
from python_tsan.result.model import Input, Status
from python_tsan.tsan.digest import Digest, Shortfall
from python_tsan.tsan.finding import Dialect, Fatal, FatalKind, Kind, Source

SPOKE = Input(file="a.log", spoke=True)
SILENT = Input(file="b.log")
FATAL = Fatal(
    kind=FatalKind.CHECK,
    message="CHECK failed: sanitizer_common.cpp:1",
    pid=1,
    source=Source(file="a.log", first_line=1, last_line=1),
    raw="",
)


def finding(status=FindingStatus.NEW):
    return DistinctFinding(
        kind=Kind.RACE,
        title="data race",
        fingerprint="0123456789abcdef",
        occurrences=1,
        attribution=Attribution.YOURS,
        status=status,
        dialect=Dialect.CXX,
    )


def judged(*findings, fatal=(), inputs=(SPOKE,), **more):
    verdict = judge_logs([each.status for each in findings], fatal, inputs, **more)
    return verdict.status, verdict.reason


def test_findings_fail_and_are_counted_without_the_known_ones():
    assert judged(finding()) == (Status.FAILED, "1 finding")
    assert judged(finding(), finding(), finding(FindingStatus.KNOWN)) == (Status.FAILED, "2 findings")
    assert judged(finding(), fatal=(FATAL,), doubts=("a doubt",)) == (Status.FAILED, "1 finding")


def test_known_findings_alone_pass():
    assert judged(finding(FindingStatus.KNOWN)) == (Status.PASSED, "no finding that fails")
    # A finding shows by itself that the sanitizer spoke.
    assert judged(finding(FindingStatus.KNOWN), inputs=(SILENT,)) == (Status.PASSED, "no finding that fails")


def test_a_log_in_which_the_sanitizer_speaks_is_clean_without_a_finding():
    assert judged() == (Status.PASSED, "no finding")
    assert judged(inputs=(SILENT, SPOKE)) == (Status.PASSED, "no finding")


def test_last_words_prove_nothing_and_outweigh_a_doubt():
    fix = "the sanitizer itself failed; a newer compiler may help"
    words = f"the runtime gave up: CHECK failed: sanitizer_common.cpp:1 ({fix})"
    assert judged(fatal=(FATAL,), doubts=("a doubt",)) == (Status.COULD_NOT_JUDGE, words)


def test_the_first_doubt_is_the_reason():
    assert judged(doubts=("one", "two")) == (Status.COULD_NOT_JUDGE, "one")


def test_silence_is_clean_only_where_the_program_is_known_to_have_run():
    words = "no line is ThreadSanitizer's, so nothing shows that the program ran under it (explain could-not-judge)"
    assert judged(inputs=(SILENT,)) == (Status.COULD_NOT_JUDGE, words)
    assert judged(inputs=(SILENT,), silent_is_clean=True) == (Status.PASSED, "no finding")


@pytest.mark.parametrize("silent_is_clean", [False, True])
def test_no_log_proves_nothing(silent_is_clean):
    assert judged(inputs=(), silent_is_clean=silent_is_clean) == (Status.COULD_NOT_JUDGE, "there was no log to read")


def test_the_verdict_names_unreadable_logs_and_with_findings_what_is_missing():
    broken = Input(file="c.log", spoke=True, problem="not readable")
    clean = judge_logs((), (), (SPOKE, broken), shortfalls=("a.log: 1 report is missing",))
    assert clean.downgrades == ("c.log: not readable",)
    found = judge_logs((FindingStatus.NEW,), (), (SPOKE, broken), shortfalls=("a.log: 1 report is missing",))
    assert found.downgrades == ("c.log: not readable", "a.log: 1 report is missing")


def digest(*missing, blocks=0, **more):
    shortfalls = [Shortfall(source=f"{at}.log", read=blocks, missing=count) for at, count in enumerate(missing)]
    return Digest(shortfalls=shortfalls, blocks=blocks, **more)


@pytest.mark.parametrize(
    ("read", "doubts"),
    [
        (digest(), ()),
        (digest(blocks=2), ()),
        (digest(3), ("the log says 3 warnings, 0 blocks could be read",)),
        (digest(1), ("the log says 1 warning, 0 blocks could be read",)),
        (digest(1, 2, blocks=1), ("3 reports are missing from the log",)),
        (digest(1, blocks=1), ("1 report is missing from the log",)),
        (digest(unread=["a.log: cut", "b.log: grew"], blocks=1), ("a.log: cut",)),
        (digest(other_tools={"KCSAN": None}), ("this is a KCSAN log, which is not supported",)),
        (
            digest(other_tools={"AddressSanitizer": None, "Helgrind": None}),
            ("this is an AddressSanitizer and Helgrind log, which is not supported",),
        ),
        (digest(other_tools={"KCSAN": None}, blocks=1), ()),
        (digest(other_tools={"KCSAN": None}, notices=1), ()),
    ],
    ids=str,
)
def test_a_log_that_says_more_than_could_be_read_is_doubted(read, doubts):
    assert doubts_about_logs(read) == doubts


def test_each_log_that_lacks_reports_is_named():
    assert shortfalls_of_logs(digest(1, 4)) == (
        "0.log: 1 report is missing from this log",
        "1.log: 4 reports are missing from this log",
    )
