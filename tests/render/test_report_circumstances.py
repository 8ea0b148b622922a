from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from python_tsan.render.circumstances import circumstances, rate_words
from python_tsan.render.registry import RENDERINGS
from python_tsan.result.model import (
    BaselineEntry,
    BaselineResult,
    BaselineState,
    Provenance,
    Rate,
    ResultKind,
    SharedObject,
    Status,
    Subject,
    SuppressionUse,
    Verdict,
)

SUBJECT = Subject(command=("./embed", "a b"), exit_codes=(66, 66, 0), seconds=3.24, max_rss_bytes=52_000_000)


def of(subject):
    """Return the parts of a result of a run of ``subject``."""
    return {"kind": ResultKind.PROGRAM, "subjects": (subject,)}


def shown(report, **facts):
    return dict(circumstances(replace(report, **facts)))


def test_mere_logs_have_no_circumstances(report_of):
    assert shown(report_of("race_global")) == {}
    assert shown(report_of("race_global"), audit=(), suppressions=()) == {}


def test_the_program_and_how_it_ended(report_of):
    assert shown(report_of("race_global"), **of(SUBJECT)) == {
        "command": "./embed 'a b'",
        "ended": "exit code 66 (2 times), exit code 0, 3.2 s, 52 MB",
    }
    killed = replace(SUBJECT, exit_codes=(-9,), timed_out=True, stacks=("native.txt", "python.txt"))
    words = shown(report_of("race_global"), **of(killed))
    assert words["ended"].startswith("signal 9, ")
    assert words["deadline"] == "passed while it was still running; stacks in native.txt, python.txt"
    assert shown(report_of("race_global"), **of(replace(SUBJECT, exit_codes=())))["ended"].startswith("not at all")


def test_the_rate_is_shown_with_its_bound(report_of):
    rate = Rate(found=3, runs=10, low=0.108, high=0.603)
    assert rate_words(rate) == "3 of 10 runs (95 %: 11 % to 60 %)"
    told = shown(report_of("race_global"), **of(replace(SUBJECT, rate=rate)))
    assert told["seen in"] == rate_words(rate)
    assert "rarer than" not in told
    clean = Rate(found=0, runs=1000, low=0.0, high=0.004)
    told = shown(report_of("race_global"), **of(replace(SUBJECT, rate=clean)))
    assert told["rarer than"] == "1 in 334 runs (95 %); 2,995 runs for 1 in 1,000"
    told = shown(report_of("race_global"), **of(replace(SUBJECT, rate=replace(clean, runs=4))))
    assert "rarer than" not in told


def test_what_a_baseline_came_to(report_of):
    states = (BaselineState.SEEN, BaselineState.SEEN, BaselineState.GONE, BaselineState.EXPIRED)
    entries = tuple(BaselineEntry(fingerprint=f"f{number}", state=state) for number, state in enumerate(states))
    words = shown(report_of("race_global"), baseline=BaselineResult(file="b.toml", entries=entries))
    assert words["baseline"] == "b.toml: 2 seen, 1 expired, 1 gone; gone: f2"
    assert shown(report_of("race_global"), baseline=BaselineResult(file="b.toml"))["baseline"] == "b.toml: no entries"


def test_unused_suppressions_are_named(report_of):
    uses = (SuppressionUse(entry="race_top:a", matched=3), SuppressionUse(entry="race_top:b", matched=0))
    words = shown(report_of("race_global"), suppressions=uses)
    assert words["suppressions"] == "1 of 2 matched, 3 times in all; unused: race_top:b"
    assert shown(report_of("race_global"), suppressions=uses[:1])["suppressions"] == "1 of 1 matched, 3 times in all"


def test_suppressions_of_python_tsan_are_distinguished(report_of):
    uses = (
        SuppressionUse(entry="race:a", matched=1),
        SuppressionUse(entry="race:free_threadstate", matched=0, shipped=True),
    )
    assert shown(report_of("race_global"), suppressions=uses)["suppressions"] == "1 of 1 matched, 1 time in all"
    assert "suppressions" not in shown(report_of("race_global"), suppressions=uses[1:])
    used = (SuppressionUse(entry="race:b", matched=2, shipped=True),)
    assert shown(report_of("race_global"), suppressions=used)["suppressions"] == "those of python-tsan matched 2 times"


def test_what_was_not_instrumented_is_named(report_of):
    audit = tuple(SharedObject(path=f"/lib/lib{number}.so", instrumented=False) for number in range(7))
    audit += (SharedObject(path="/x", instrumented=True), SharedObject(path="/y", instrumented=None))
    words = shown(report_of("race_global"), audit=audit)["loaded"]
    assert words == (
        "9 objects, 7 not instrumented (lib0.so, lib1.so, lib2.so, lib3.so, lib4.so and 2 more), 1 unreadable"
    )


@pytest.mark.parametrize("wanted", ["terminal", "markdown", "html", "junit"])
def test_renderings_for_people_show_them(report_of, wanted):
    report = replace(report_of("race_global"), **of(replace(SUBJECT, rate=Rate(found=3, runs=10, low=0.1, high=0.6))))
    data = RENDERINGS[wanted].render(report).decode()
    assert "3 of 10 runs (95 %: 10 % to 60 %)" in data
    assert "exit code 66 (2 times)" in data


def test_a_failure_without_a_finding_is_red_everywhere(report_of):
    verdict = Verdict(status=Status.FAILED, reason="ended by signal 11")
    report = report_of("suppressed", verdict=verdict)
    (case,) = ET.fromstring(RENDERINGS["junit"].render(report)).iter("testcase")  # noqa: S314 -- what we wrote ourselves
    assert case.find("failure").get("message") == "ended by signal 11"
    assert RENDERINGS["github"].render(report).decode() == "::error title=python-tsan::NOT clean: ended by signal 11\n"
    (note,) = json.loads(RENDERINGS["sarif"].render(report))["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert (note["level"], note["message"]["text"]) == ("error", "NOT clean: ended by signal 11")
    assert b"NOT clean: ended by signal 11" in RENDERINGS["markdown"].render(report)


def test_the_shims_that_were_used_are_named_with_the_switch(report_of):
    report = report_of("race_global")
    assert "shims" not in shown(report, provenance=Provenance())
    used = shown(report, provenance=Provenance(shims=("glib", "pthread")))["shims"]
    assert used == "glib, pthread (PYTHON_TSAN_SHIMS=0 switches them off)"
