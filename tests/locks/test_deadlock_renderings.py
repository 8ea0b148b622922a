"""A possible deadlock reads the same in every rendering, and is carried by baseline and merge."""

import json
from xml.etree import ElementTree as ET

import pytest
from deadlock_samples import FILE, report_on, report_on_recorded, sink_trace
from lock_samples import Recorded
from msgspec.structs import replace
from report_samples import NASTY

from python_tsan.comparison.verified import Seen, seen_of_kinds
from python_tsan.locks.model import LockKind
from python_tsan.render import wording
from python_tsan.render.advice import advice
from python_tsan.render.explain import explain_word, lock_advice
from python_tsan.render.registry import RENDERINGS, Context
from python_tsan.render.svg import picture
from python_tsan.result.build import Standing, merge_findings
from python_tsan.result.codec import decode_result
from python_tsan.result.finding import FindingStatus
from python_tsan.tsan.finding import Kind

HEADLINE = "possible deadlock: the GIL and log_mutex are taken in opposite orders"
MAIN = (
    "main thread held the GIL (main.cpp:40 main) when it asked for log_mutex "
    "(module.cpp:21 py_log, pthread_mutex_lock, called from Python: nlog.py:5 log)"
)
LOGGER = (
    "thread T1 'logger' held log_mutex (sink.cpp:12 log_native) when it asked for the GIL "
    "(gil.hpp:3 gil_scoped_acquire, PyGILState_Ensure)"
)


@pytest.fixture
def report():
    return report_on(sink_trace())


def rendered(report, name):
    return RENDERINGS[name].render(report, Context()).decode()


def sides(recorded):
    (finding,) = report_on_recorded(recorded).findings
    return wording.headline(finding), [wording.acquisition_words(edge, finding) for edge in finding.acquisitions]


@pytest.mark.parametrize("name", ["terminal", "markdown", "github", "junit", "sarif", "html", "json"])
def test_every_rendering_names_the_locks(report, name):
    text = rendered(report, name).replace("\\_", "_").replace("&#95;", "_")
    assert "log_mutex" in text
    assert "possible deadlock" in text


def test_the_terminal_says_who_held_what_how_sure_that_is_and_what_to_do(report):
    text = " ".join(rendered(report, "terminal").split())
    for words in (HEADLINE, MAIN, LOGGER, "seen in this run, without a hang", "py::gil_scoped_release", "NOT clean"):
        assert words in text


def test_sarif_has_a_thread_flow_for_each_thread(report):
    (run,) = json.loads(rendered(report, "sarif"))["runs"]
    (result,) = run["results"]
    assert result["ruleId"] == "possible-deadlock"
    assert [flow["message"]["text"] for flow in result["codeFlows"][0]["threadFlows"]] == [MAIN, LOGGER]
    assert run["tool"]["driver"]["rules"][0]["properties"]["tags"][-1] == "external/cwe/cwe-833"


def test_junit_fails_the_case(report):
    (case,) = ET.fromstring(rendered(report, "junit")).iter("testcase")  # noqa: S314 -- our own
    assert case.get("classname", "").endswith("possible-deadlock")
    assert case.find("failure").get("message") == "possible deadlock: GIL, log_mutex"


def test_the_picture_has_the_names_and_an_arrow_for_each_thread(report):
    root = ET.fromstring(picture(report.findings[0]))  # noqa: S314 -- our own
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["main thread", "thread T1 'logger'", "the GIL", "log_mutex"]


def test_hostile_names_stay_text(report):
    (finding,) = report.findings
    mutexes = tuple(replace(each, name=NASTY if each.kind == "mutex" else each.name) for each in finding.mutexes)
    hostile = replace(report, findings=(replace(finding, mutexes=mutexes),))
    assert "<b>" not in rendered(hostile, "html")
    ET.fromstring(picture(hostile.findings[0]))  # noqa: S314 -- our own


def test_it_is_saved_and_read_again(report):
    assert decode_result(rendered(report, "json").encode(), name="run.json") == report


def test_a_merge_counts_it_once(report):
    (finding,) = merge_findings((*report.findings, *report.findings))
    assert finding.occurrences == 2


def test_a_baseline_knows_it(report):
    key = report.findings[0].fingerprint
    known = report_on(sink_trace(), standings={key: Standing(status=FindingStatus.KNOWN, reason="issue 7")})
    assert not known.failing
    assert "known, issue 7" in RENDERINGS["terminal"].render(known, Context(verbose=True)).decode()


def test_a_comparison_calls_it_a_lock_order():
    assert seen_of_kinds([Kind.POSSIBLE_DEADLOCK]) is Seen.LOCK_ORDER


def test_a_join_is_described_as_one():
    headline, (holder, ender) = sides(Recorded().ask(0, "gil", "thread 1").ask(1, "", "gil"))
    assert headline == "possible deadlock: gil is held during the join of a thread that needs it"
    assert "when it waited for the end of thread T1" in holder
    assert ender.startswith("thread T1 asks for gil")
    assert ender.endswith("before it ends")


def test_a_wait_for_a_signal_is_described_as_one():
    headline, sentences = sides(Recorded().ask(0, "gil", "cond").wake(1, "cond", needed="gil"))
    assert headline == "possible deadlock: gil is held during a wait for a condition that needs it to end"
    assert "when it waited for cond" in sentences[0]
    assert "wakes those who wait for cond" in sentences[1]


def test_three_locks_are_a_cycle():
    headline, _ = sides(Recorded().ask(0, "a", "b").ask(1, "b", "c").ask(2, "c", "a"))
    assert headline == "possible deadlock: a, b and c are taken in a cycle"


def test_a_reader_is_called_one():
    _, sentences = sides(Recorded().ask(0, "gil", "rw.r").ask(1, "rw", "gil"))
    assert "when it asked for rw for reading" in sentences[0]


def test_what_may_happen_is_not_called_seen():
    (finding,) = report_on_recorded(Recorded().ask(0, "gil", "m").ask(1, "m", "gil", weak=True)).findings
    assert "made a call that may ask for gil" in wording.acquisition_words(finding.acquisitions[1], finding)
    assert wording.evidence(finding).startswith("not all of it was seen")


def test_an_unnamed_lock_is_called_by_its_place(report):
    (finding,) = report.findings
    unnamed = tuple(
        replace(each, name="", stack=finding.acquisitions[1].holding_stack) if each.kind == "mutex" else each
        for each in finding.mutexes
    )
    assert "the mutex of sink.cpp:12 log_native" in wording.headline(replace(finding, mutexes=unnamed))


def test_every_kind_of_lock_has_its_advice():
    assert [kind for kind in LockKind if not lock_advice(kind.value)] == []


def test_the_advice_is_about_the_lock_not_about_the_gil(report):
    (finding,) = report.findings
    assert advice(finding, frozenset()) == lock_advice("mutex")
    assert "Release the GIL before you join" in lock_advice("thread")


@pytest.mark.parametrize(
    ("kinds", "with_gil", "imports"),
    [
        (("GIL", "mutex"), True, False),
        (("attached thread state", "mutex"), True, False),
        (("mutex", "mutex"), False, False),
        (("Python lock", "mutex"), False, False),
        (("module lock", "mutex"), False, True),
    ],
)
def test_the_gil_is_spoken_of_where_it_is_a_part_of_the_cycle(report, kinds, with_gil, imports):
    (finding,) = report.findings
    mutexes = tuple(replace(each, kind=kind) for each, kind in zip(finding.mutexes, kinds, strict=True))
    told = advice(replace(finding, mutexes=mutexes), frozenset())
    assert ("Release the GIL" in told) is with_gil
    assert ("Do not import while you hold a lock" in told) is imports
    assert told


def test_it_is_explained():
    assert explain_word("possible-deadlock").title == "possible deadlock"


def test_the_recording_is_named(report):
    assert report.findings[0].sources[0].file == f"{FILE}.0"
