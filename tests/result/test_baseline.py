import datetime as dt
import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from python_tsan.errors import UsageError
from python_tsan.result.attribution import attribute
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


def by_cause(**names):
    lines = "\n".join(f'{name} = "{text}"' for name, text in names.items())
    return entry().replace(f'fingerprint = "{ONE}"', lines)


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


ENTRY_KEYS = "known keys: fingerprint, function, object, reason, link, expires, title"
DATE = "expires must be a date such as 2026-12-31, without quotes"
HEADED = "each known finding is a table headed [[finding]]"
POSITIVE = "enough-runs must be a positive integer"
REWRITE = "write it again with --write-baseline"
WRITE = "write it, or fix the defect"
NEEDED = "every entry has reason, link, expires"
SUBJECT = "every entry has a fingerprint, or a function, an object or both"


@pytest.mark.parametrize(
    ("text", "line", "what", "advice"),
    [
        (HEAD + entry() + entry(), 9, f"{ONE} is already in line 3", "keep one of them"),
        (HEAD + entry() + 'owner = "me"\n', 8, "unknown key 'owner'", ENTRY_KEYS),
        (HEAD + 'owner = "me"\n' + entry(), 2, "unknown key 'owner'", "known keys: version, enough-runs, finding"),
        (HEAD + "colour = 1\n", 2, "unknown key 'colour'", "known keys: version, enough-runs, finding"),
        (HEAD + entry().replace('"the counter is a statistic"', '" "'), 5, "reason is empty", WRITE),
        (HEAD + entry().replace('"the counter is a statistic"', "5"), 5, "reason is empty", WRITE),
        (HEAD + entry().replace('"https://example.org/1"', '""'), 6, "link is empty", WRITE),
        (HEAD + entry(" "), 4, "fingerprint is empty", WRITE),
        (HEAD + entry() + entry(TWO).replace('"the counter is a statistic"', '""'), 11, "reason is empty", WRITE),
        (HEAD + entry().replace('link = "https://example.org/1"\n', ""), 3, "this finding has no link", NEEDED),
        (HEAD + entry().replace("fingerprint", "title"), 3, "this finding has no fingerprint", SUBJECT),
        (HEAD + entry() + 'function = "f"\n', 8, "function in an entry with a fingerprint", SUBJECT),
        (HEAD + by_cause(function=""), 4, "function is empty", WRITE),
        (HEAD + by_cause(function="f") * 2, 9, "function f is already in line 3", "keep one of them"),
        (HEAD + entry("nothexadecimal00"), 4, "'nothexadecimal00' is not a fingerprint", ""),
        (HEAD + entry(ONE + "0"), 4, f"'{ONE}0' is not a fingerprint", ""),
        (HEAD + entry(expires='"2026-12-31"'), 7, DATE, ""),
        (HEAD + entry(expires="2026-12-31T10:00:00"), 7, DATE, ""),
        ("version = 2\n", 1, "version must be 1", REWRITE),
        ("# known\nversion = 2\n", 2, "version must be 1", REWRITE),
        (entry(), 1, "version must be 1", REWRITE),
        (HEAD + "enough-runs = 0\n", 2, POSITIVE, ""),
        (HEAD + "enough-runs = true\n", 2, POSITIVE, ""),
        (HEAD + 'enough-runs = "3"\n', 2, POSITIVE, ""),
        ("finding = 3\n" + HEAD, 1, HEADED, ""),
        ("colour = 1\n" + HEAD, 1, "unknown key 'colour'", "known keys: version, enough-runs, finding"),
        ("enough-runs = 0\n" + HEAD, 1, POSITIVE, ""),
        (HEAD + "finding = 3\n", 2, HEADED, ""),
        (HEAD + "finding = [3]\n", 2, HEADED, ""),
        (HEAD + "\nfinding = [{}]\n", 3, "this finding has no fingerprint", SUBJECT),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_what_to_do(text, line, what, advice):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert caught.value.message == f"known.toml:{line}: {what}"
    assert (caught.value.advice, caught.value.page) == (advice, "baseline")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HEAD + "version = 1\n", 2, "overwrite"),
        (HEAD + entry() + 'reason = "again"\n', 8, "overwrite"),
        (HEAD + "[[finding]\n", 2, "xpected"),
    ],
)
def test_toml_that_cannot_be_read_is_reported_with_its_line(text, line, what):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert caught.value.message.startswith(f"known.toml:{line}: ")
    assert what in caught.value.message
    assert caught.value.page == "baseline"


def test_an_entry_may_be_written_inline_and_with_a_title():
    text = 'version = 1\nfinding = [{fingerprint = "%s", reason = "r", link = "l", expires = 2026-12-31, title = "t"}]'
    (known,) = read(text % ONE).known
    assert (known.fingerprint, known.title, known.line) == (ONE, "t", 2)
    (first,) = read(f"{text.splitlines()[1] % ONE}\nversion = 1\n").known
    assert first.line == 1
    assert read(HEAD + entry()).known[0].title == ""
    assert read(HEAD + entry()).enough_runs == 1
    assert read(HEAD).known == ()


def test_what_an_entry_does_not_name_is_empty():
    (known,) = read(HEAD + entry()).known
    assert (known.fingerprint, known.function, known.object) == (ONE, "", "")
    (known,) = read(HEAD + by_cause(function="f", object="g")).known
    assert (known.fingerprint, known.function, known.object) == ("", "f", "g")


def test_a_heading_inside_a_text_is_no_entry():
    text = entry().replace('"the counter is a statistic"', '"""\n[[finding]]\n"""')
    assert [known.fingerprint for known in read(HEAD + text).known] == [ONE]


def test_an_entry_stands_until_its_date_and_that_day_too():
    baseline = read(HEAD + entry(expires="2026-06-01") + entry(TWO, expires="2026-05-31"))
    stands = standings(baseline, today=TODAY)
    assert stands[ONE].status is FindingStatus.KNOWN
    assert stands[ONE].reason == "the counter is a statistic"
    assert (stands[ONE].link, stands[ONE].expires) == ("https://example.org/1", "2026-06-01")
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
    assert (entry_.fingerprint, entry_.reason, entry_.link, entry_.expires) == (
        *(ONE, "the counter is a statistic"),
        *("https://example.org/1", expires),
    )


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


def test_a_first_baseline_is_written_line_by_line():
    assert write_baseline([finding(ONE), replace(finding(TWO), summary="data race a.cpp in f")], None, today=TODAY) == (
        "# Findings that are accepted for now. Each needs a reason and a link before this file can be used.\n"
        "version = 1\n"
        "enough-runs = 1\n"
        "\n"
        "[[finding]]\n"
        f'fingerprint = "{ONE}"\n'
        'title = "data race"\n'
        'reason = ""\n'
        'link = ""\n'
        "expires = 2026-08-30\n"
        "\n"
        "[[finding]]\n"
        f'fingerprint = "{TWO}"\n'
        'title = "data race a.cpp in f"\n'
        'reason = ""\n'
        'link = ""\n'
        "expires = 2026-08-30\n"
    )


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


GOLDEN = Path(__file__).parents[1] / "tsan" / "golden"


def race(toolchain="clang-19", name="race_global"):
    found = parse_log((GOLDEN / toolchain / f"{name}.log").read_text(), "x").findings
    return {fingerprint(each): each for each in found}


@pytest.mark.parametrize(
    ("names", "matched"),
    [
        ({"function": "careless"}, True),
        ({"function": "careful"}, True),
        ({"function": "less"}, False),
        ({"function": "main"}, False),
        ({"object": "g_total"}, True),
        ({"object": "total"}, False),
        ({"function": "careless", "object": "g_total"}, True),
        ({"function": "careless", "object": "g_other"}, False),
    ],
)
def test_an_entry_by_cause_is_about_the_findings_with_its_function_and_object(names, matched):
    for toolchain in ("clang-19", "gcc-12"):
        findings = race(toolchain)
        known = with_current_fingerprints(read(HEAD + by_cause(**names)), findings)
        assert [each in standings(known, today=TODAY) for each in findings] == [matched]
        (one,) = compare_baseline(known, findings, runs=1, today=TODAY).entries
        assert one.state is (BaselineState.SEEN if matched else BaselineState.GONE)


def test_an_entry_by_cause_that_expired_or_no_longer_occurs_is_named_once():
    findings = race() | race(name="race_heap")
    gone = with_current_fingerprints(read(HEAD + by_cause(function="f", object="g")), findings)
    states = compare_baseline(gone, findings, runs=1, today=TODAY)
    assert list(complaints(states)) == [
        "baseline entry function f and object g no longer occurs; take it out of known.toml"
    ]
    late = with_current_fingerprints(read(HEAD + by_cause(object="g_total")), findings)
    states = compare_baseline(late, findings, runs=1, today=dt.date(2027, 1, 1))
    assert list(complaints(states)) == ["baseline entry object g_total expired on 2026-12-31"]


def test_every_entry_by_cause_that_no_longer_occurs_is_named():
    gone = with_current_fingerprints(read(HEAD + by_cause(function="f") + by_cause(function="g")), race())
    assert list(complaints(compare_baseline(gone, race(), runs=1, today=TODAY))) == [
        "baseline entry function f no longer occurs; take it out of known.toml",
        "baseline entry function g no longer occurs; take it out of known.toml",
    ]


LIBRARIES = """\
==================
WARNING: ThreadSanitizer: data race (pid=5)
  Write of size 8 at 0x7b0400000000 by thread T1:
    #0 theirs /lib/their.c:18 (libtheir.so+0x10)
    #1 mine /src/mine.c:27 (libmine.so+0x11)

  Previous write of size 8 at 0x7b0400000000 by main thread:
    #0 theirs /lib/their.c:18 (libtheir.so+0x10)

SUMMARY: ThreadSanitizer: data race /lib/their.c:18 in theirs
==================
"""


def test_a_function_of_yours_is_a_cause_only_where_it_is_known_to_be_yours():
    findings = {fingerprint(each): each for each in parse_log(LIBRARIES, "x").findings}
    entries = read(HEAD + by_cause(function="mine"))
    assert [each.fingerprint for each in with_current_fingerprints(entries, findings).known] == [""]
    known = with_current_fingerprints(entries, findings, ("libmine.so",)).known
    assert [each.fingerprint for each in known] == list(findings)


def test_the_recorded_origins_of_a_finding_decide_its_cause():
    (parsed,) = parse_log(LIBRARIES, "x").findings
    _, origins = attribute(parsed, ("libmine.so",))
    old = read(HEAD + by_cause(function="mine"))
    accepted = write_baseline([replace(finding(ONE), origins=origins)], old, today=TODAY)
    assert len(tomllib.loads(accepted)["finding"]) == 1


def test_a_findings_own_entry_comes_before_one_by_cause():
    findings = race()
    (own,) = findings
    text = HEAD + by_cause(object="g_total").replace("the counter is a statistic", "by cause") + entry(own)
    known = with_current_fingerprints(read(text), findings)
    assert standings(known, today=TODAY)[own].reason == "the counter is a statistic"


def test_a_baseline_that_is_written_again_keeps_its_entries_by_cause():
    old = read(HEAD + by_cause(function="careless"))
    written = write_baseline([finding(ONE)], old, today=TODAY)
    first, second = tomllib.loads(written)["finding"]
    assert (first["function"], "fingerprint" in first) == ("careless", False)
    assert second["fingerprint"] == ONE


def test_a_baseline_that_is_written_again_keeps_a_findings_own_entry_and_its_cause():
    (parsed,) = parse_log(LIBRARIES, "x").findings
    _, origins = attribute(parsed)
    old = read(HEAD + by_cause(function="theirs") + entry())
    entries = tomllib.loads(write_baseline([replace(finding(ONE), origins=origins)], old, today=TODAY))["finding"]
    assert [each.get("fingerprint", each.get("function")) for each in entries] == ["theirs", ONE]


def test_a_cause_of_a_function_and_an_object_is_written_as_two_keys():
    old = read(HEAD + by_cause(function="f", object="g"))
    (written,) = tomllib.loads(write_baseline([], old, today=TODAY))["finding"]
    assert (written["function"], written["object"]) == ("f", "g")


def test_a_current_fingerprint_is_never_taken_for_an_older_one(monkeypatch):
    monkeypatch.setattr("python_tsan.result.baseline.legacy_fingerprints", lambda _raw: (ONE,))
    findings = dict.fromkeys((ONE, TWO), next(iter(logged("reference").values())))
    baseline = with_current_fingerprints(read(HEAD + entry(ONE) + entry("f" * 16)), findings)
    assert [known.fingerprint for known in baseline.known] == [ONE, "f" * 16]
