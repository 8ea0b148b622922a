import datetime as dt
import tomllib
from pathlib import Path

import pytest

from python_tsan.errors import UsageError
from python_tsan.result.baseline import (
    compare_baseline,
    complaints,
    parse_baseline,
    standings,
    with_current_fingerprints,
    write_baseline,
)
from python_tsan.result.finding import Attribution, DistinctFinding, FindingStatus
from python_tsan.result.model import BaselineState
from python_tsan.tsan.finding import Dialect, Kind
from python_tsan.tsan.fingerprint import fingerprint
from python_tsan.tsan.parser import parse_log

TODAY = dt.date(2026, 6, 1)
HEAD = "version = 1\n"
ENTRY = """
[[finding]]
fingerprint = "{fingerprint}"
reason = "the counter is a statistic"
link = "https://example.org/1"
expires = {expires}
"""
ONE, TWO = "0123456789abcdef", "fedcba9876543210"


def entry(fingerprint=ONE, expires="2026-12-31"):
    return ENTRY.format(fingerprint=fingerprint, expires=expires)


def read(text):
    return parse_baseline(text, "known.toml")


def finding(fingerprint, title="data race"):
    return DistinctFinding(
        kind=Kind.RACE,
        title=title,
        fingerprint=fingerprint,
        occurrences=1,
        attribution=Attribution.YOURS,
        dialect=Dialect.CXX,
    )


def test_entries_are_read_with_their_lines():
    baseline = read(HEAD + "enough-runs = 5\n" + entry() + entry(TWO))
    assert baseline.enough_runs == 5
    assert [(known.fingerprint, known.line) for known in baseline.known] == [(ONE, 4), (TWO, 10)]
    assert baseline.known[0].expires == dt.date(2026, 12, 31)
    assert baseline.known[0].link == "https://example.org/1"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HEAD + entry() + entry(), 9, "already in line 3"),
        (HEAD + entry() + 'owner = "me"\n', 8, "unknown key 'owner'"),
        (HEAD + "colour = 1\n", 2, "unknown key 'colour'"),
        (HEAD + entry().replace('"the counter is a statistic"', '" "'), 5, "reason is empty"),
        (HEAD + entry().replace('link = "https://example.org/1"\n', ""), 3, "has no link"),
        (HEAD + entry("nothexadecimal00"), 4, "not a fingerprint"),
        (HEAD + entry(expires='"2026-12-31"'), 7, "must be a date"),
        (HEAD + entry(expires="2026-12-31T10:00:00"), 7, "must be a date"),
        ("version = 2\n", 1, "version must be 1"),
        (entry(), 1, "version must be 1"),
        (HEAD + "enough-runs = 0\n", 2, "must be a positive integer"),
        (HEAD + "enough-runs = true\n", 2, "must be a positive integer"),
        (HEAD + "finding = 3\n", 2, "[[finding]]"),
        (HEAD + "version = 1\n", 2, "overwrite"),
        (HEAD + entry() + 'reason = "again"\n', 8, "overwrite"),
        (HEAD + "[[finding]\n", 2, "xpected"),
    ],
)
def test_a_mistake_is_reported_with_its_line(text, line, what):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert caught.value.message.startswith(f"known.toml:{line}: ")
    assert what in caught.value.message


def test_an_entry_stands_until_its_date_and_that_day_too():
    baseline = read(HEAD + entry(expires="2026-06-01") + entry(TWO, expires="2026-05-31"))
    stands = standings(baseline, today=TODAY)
    assert stands[ONE].status is FindingStatus.KNOWN
    assert stands[ONE].reason == "the counter is a statistic"
    assert stands[TWO].status is FindingStatus.EXPIRED


@pytest.mark.parametrize(
    ("seen", "runs", "expires", "state"),
    [
        ({ONE}, 1, "2026-12-31", BaselineState.SEEN),
        ({ONE}, 1, "2026-06-01", BaselineState.SEEN),  # its last day
        ({ONE}, 1, "2026-05-31", BaselineState.EXPIRED),
        (set(), 2, "2026-12-31", BaselineState.UNSEEN),
        (set(), 3, "2026-12-31", BaselineState.GONE),
        (set(), 1, "2026-01-01", BaselineState.EXPIRED),
        ({ONE}, 3, "2026-01-01", BaselineState.EXPIRED),
    ],
)
def test_an_entry_is_gone_only_after_enough_runs(seen, runs, expires, state):
    baseline = read(HEAD + "enough-runs = 3\n" + entry(expires=expires))
    (entry_,) = compare_baseline(baseline, seen, runs=runs, today=TODAY).entries
    assert entry_.state is state


def test_complaints_name_the_entries_that_fail():
    baseline = read(HEAD + entry() + entry(TWO, expires="2026-01-01"))
    found = list(complaints(compare_baseline(baseline, {TWO}, runs=1, today=TODAY)))
    assert found == [
        f"baseline entry {ONE} no longer occurs; take it out of known.toml",
        f"baseline entry {TWO} expired on 2026-01-01",
    ]
    assert not list(complaints(compare_baseline(read(HEAD + entry()), {ONE}, runs=1, today=TODAY)))


def test_a_written_baseline_keeps_what_was_written_and_asks_for_the_rest():
    text = write_baseline([finding(ONE), finding(TWO)], read(HEAD + "enough-runs = 4\n" + entry()), today=TODAY)
    table = tomllib.loads(text)
    assert table["enough-runs"] == 4
    old, new = table["finding"]
    assert old["reason"] == "the counter is a statistic"
    assert (new["reason"], new["link"], new["expires"]) == ("", "", dt.date(2026, 8, 30))
    with pytest.raises(UsageError, match="reason is empty"):
        read(text)
    filled = text.replace('reason = ""', 'reason = "accepted"').replace('link = ""', 'link = "https://example.org/2"')
    assert [known.fingerprint for known in read(filled).known] == [ONE, TWO]


def test_a_title_with_quotes_and_controls_is_written_as_toml():
    odd = finding(ONE, title='a "b" \\ \x1b c')
    (written,) = tomllib.loads(write_baseline([odd], None, today=TODAY))["finding"]
    assert written["title"] == odd.title


def logged(name):
    text = (Path(__file__).parents[1] / "tsan" / "kinds" / f"{name}.log").read_text()
    return {fingerprint(each): each for each in parse_log(text).findings}


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("place_question_marks", "6c8c365386e4e63e"),
        ("place_null_line", "af5b240e62f59391"),
        ("place_discriminator", "7e05b3f13c8b340f"),
        ("place_blank_relative", "266b2335e993e158"),
        ("frames_no_hash", "d42a053d63325f9f"),
        ("mac_images", "ee3b33eb7ec8786d"),
        ("two_summaries", "88310e200436d3ba"),
    ],
)
def test_an_entry_of_an_older_release_is_recognised(name, old):
    findings = logged(name)
    baseline = with_current_fingerprints(read(HEAD + entry(old) + entry(TWO)), findings)
    assert [known.fingerprint for known in baseline.known] == [*findings, TWO]
    assert {known.reason for known in baseline.known} == {"the counter is a statistic"}
    assert standings(baseline, today=TODAY).keys() == {*findings, TWO}
    states = compare_baseline(baseline, findings.keys(), runs=1, today=TODAY).entries
    assert [each.state for each in states] == [*[BaselineState.SEEN] * len(findings), BaselineState.GONE]


def test_entries_with_current_fingerprints_stay_as_they_are():
    findings = logged("reference")
    (current,) = findings
    baseline = read(HEAD + entry(current))
    assert with_current_fingerprints(baseline, findings) is baseline
    other = read(HEAD + entry(current) + entry(TWO))
    assert with_current_fingerprints(other, findings) == other
