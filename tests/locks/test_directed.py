"""How a run is directed towards a possible deadlock, and what is reported of it."""

import struct
from dataclasses import replace

import pytest
from deadlock_samples import FILE, LOOKUP, PROGRAM, report_on, sink_trace
from msgspec import structs

from python_tsan.locks.cycles import find_cycles
from python_tsan.locks.directed import Meeting, Place, instruction, outcome_of, places_of, read_meeting, stuck_at
from python_tsan.locks.findings import deadlock_findings
from python_tsan.locks.model import Holding, LiveThread, LockKind, TracedLock
from python_tsan.render.names import directed_words, evidence_words
from python_tsan.render.registry import RENDERINGS, Context
from python_tsan.result.build import merge_findings
from python_tsan.result.codec import decode_result
from python_tsan.result.finding import Confirmation, Directed, DirectedRuns
from python_tsan.running.directing import Program, confirm
from python_tsan.tsan.finding import Kind

HUNG, TOGETHER, APART, NOT_REACHED = Directed
GIL, MUTEX = 0, 1


@pytest.fixture
def finding():
    trace = sink_trace()
    (found,) = deadlock_findings(trace, find_cycles(trace).cycles, FILE, LOOKUP)
    return found


@pytest.fixture
def places(finding):
    return places_of(finding)


def test_the_places_are_those_of_the_program_in_the_order_of_the_cycle(places):
    kinds = [(place.held, place.wanted) for place in places]
    assert kinds == [(LockKind.GIL, LockKind.MUTEX), (LockKind.MUTEX, LockKind.GIL)]
    assert [place.second for place in places] == [(0x130, PROGRAM), (0x100, PROGRAM)]
    assert [place.first for place in places] == [(0x120, PROGRAM), (0x110, PROGRAM)]


def test_what_the_runtime_reports_and_what_has_no_place_is_not_directed(finding):
    assert places_of(structs.replace(finding, kind=Kind.DEADLOCK)) == ()
    assert places_of(structs.replace(finding, acquisitions=finding.acquisitions[:1])) == ()
    unknown = tuple(structs.replace(mutex, kind="PyMutex") for mutex in finding.mutexes)
    assert places_of(structs.replace(finding, mutexes=unknown)) == ()


def test_what_cannot_be_directed_is_noted(finding, tmp_path):
    unknown = structs.replace(
        finding, mutexes=tuple(structs.replace(mutex, kind="PyMutex") for mutex in finding.mutexes)
    )
    program = Program(
        command=("/bin/true",), cwd=tmp_path, variables={}, launcher=(), folder=tmp_path, seconds=0.1, limit=9.0
    )
    notes = []
    assert confirm({"one": unknown, "race": structs.replace(finding, kind=Kind.RACE)}, program, note=notes.append) == {}
    assert notes == ["1 possible deadlock not run again: no place in C or C++ is known at which to wait"]


def test_the_recorder_reads_a_line_for_each_spot(places):
    lines = instruction(places, 1, patience=70).splitlines()
    assert lines[0] == "2 70"
    assert lines[1:] == [f"2 1 {0x130} {PROGRAM}", f"{0x120} {PROGRAM}", f"1 2 {0x100} {PROGRAM}", f"{0x110} {PROGRAM}"]
    assert instruction(places, None).startswith("0 ")


def test_the_end_of_the_header_says_how_far_a_run_came():
    data = bytes(8192 - 64) + struct.pack("<7I", 1, 4, 0, 0, 0, 0, 0) + bytes(36)
    assert read_meeting(data, 2) == Meeting(together=True, reached=(4, 0))
    assert read_meeting(data[:-1], 2) is None


def live(thread, wants, *held):
    return LiveThread(thread=thread, wants=wants, holding=tuple(Holding(lock=lock) for lock in held))


def test_threads_that_wait_for_each_other_are_stuck(places):
    trace = sink_trace(live=(live(1, GIL, MUTEX), live(0, MUTEX, GIL)))
    assert stuck_at(trace, places) == ((0, MUTEX), (1, GIL))


@pytest.mark.parametrize(
    "threads",
    [
        (live(0, MUTEX, GIL), live(1, None, MUTEX)),
        (live(0, MUTEX, GIL), live(1, GIL)),
        (live(0, None, GIL), live(1, GIL, MUTEX)),
        (live(0, MUTEX, GIL, MUTEX),),
    ],
    ids=["one is free", "holds nothing", "the other is free", "one thread"],
)
def test_threads_of_which_one_is_free_are_not_stuck(places, threads):
    assert stuck_at(sink_trace(live=threads), places) == ()


def test_it_must_be_the_same_lock(places):
    other = TracedLock(id=2, kind=LockKind.MUTEX, name="another")
    trace = sink_trace()
    trace = replace(trace, locks=(*trace.locks, other), live=(live(0, MUTEX, GIL), live(1, GIL, 2)))
    assert stuck_at(trace, places) == ()


def test_a_signal_has_no_holder():
    condition = TracedLock(id=2, kind=LockKind.CONDITION)
    trace = sink_trace()
    trace = replace(trace, locks=(*trace.locks, condition), live=(live(0, 2, GIL), live(1, GIL)))
    places = (
        Place(wanted=LockKind.CONDITION, held=LockKind.GIL, second=(1, "/p")),
        Place(wanted=LockKind.GIL, held=LockKind.CONDITION, second=(2, "/p")),
    )
    assert stuck_at(trace, places) == ((0, 2), (1, GIL))
    assert stuck_at(replace(trace, live=(live(0, 2), live(1, GIL))), places) == ()


def test_the_outcome_of_a_run():
    apart, never = Meeting(together=False, reached=(1, 3)), Meeting(together=False, reached=(0, 3))
    assert outcome_of([], hung=True) is HUNG
    assert outcome_of([never, Meeting(together=True, reached=(1, 1))], hung=False) is TOGETHER
    assert outcome_of([never, apart], hung=False) is APART
    assert outcome_of([never], hung=False) is NOT_REACHED
    assert outcome_of([], hung=False) is NOT_REACHED


WORDS = {
    (NOT_REACHED, HUNG, APART): "confirmed: it hung in 1 of 3 directed runs",
    (TOGETHER, APART, APART): (
        "refuted: the threads were at their places together in 1 of 3 directed runs, and none hung"
    ),
    (APART, NOT_REACHED, APART): (
        "refuted: in 2 of 3 directed runs, a thread came to its place only when the other had left its own"
    ),
    (NOT_REACHED,) * 3: "not reached: in 3 of 3 directed runs, a thread did not come to its place",
}


@pytest.mark.parametrize(("outcomes", "words"), WORDS.items())
def test_the_words_have_the_counts(outcomes, words):
    runs = DirectedRuns(outcomes=outcomes)
    assert directed_words(runs) == words
    assert words.startswith(runs.confirmation.value)


def directed_report(*outcomes):
    report = report_on(sink_trace())
    (finding,) = report.findings
    runs = DirectedRuns(outcomes=outcomes, hang=("T1 waits",))
    return structs.replace(report, findings=(structs.replace(finding, directed=runs),))


@pytest.mark.parametrize("name", ["terminal", "markdown", "sarif", "html", "junit", "github"])
def test_every_rendering_has_the_verdict(name):
    text = " ".join(RENDERINGS[name].render(directed_report(HUNG, APART, HUNG), Context()).decode().split())
    assert "confirmed: it hung in 2 of 3 directed runs" in text


def test_the_document_keeps_the_runs_and_a_merge_adds_them():
    report = directed_report(HUNG, NOT_REACHED)
    read = decode_result(RENDERINGS["json"].render(report, Context()))
    assert read.findings[0].directed == report.findings[0].directed
    (merged,) = merge_findings((*report.findings, *directed_report(APART).findings))
    assert merged.directed.outcomes == (HUNG, NOT_REACHED, APART)
    assert merged.directed.confirmation is Confirmation.CONFIRMED


def test_without_directed_runs_nothing_is_added():
    (finding,) = report_on(sink_trace()).findings
    assert "directed" not in evidence_words(finding)
