from __future__ import annotations

import pytest
from msgspec.structs import replace

from python_tsan.render import stack, wording
from python_tsan.render.names import thread_words
from python_tsan.render.stack import Gap
from python_tsan.result.model import Status
from python_tsan.tsan.finding import Frame, Stack


@pytest.mark.parametrize(
    ("symbol", "short"),
    [
        ("std::vector<int>::push_back(int const&)", "std::vector::push_back"),
        ("Ledger<unsigned long>::operator()(int) const", "Ledger::operator()"),
        ("operator<<(std::ostream&, int)", "operator<<"),
        ("Box::operator->()", "Box::operator->"),
        ("operator new(unsigned long)", "operator new"),
        ("(anonymous namespace)::careless(int, char const*)", "careless"),
    ],
)
def test_short_names_are_without_types(symbol, short):
    assert stack.short_name(Frame(index=0, symbol=symbol)) == short


def test_a_frame_without_a_symbol_is_its_place():
    frame = Frame(index=0, module="libx.so", offset=0x1F)
    assert (stack.frame_name(frame), stack.frame_place(frame), stack.short_name(frame)) == (
        "libx.so+0x1f",
        "",
        "libx.so+0x1f",
    )
    assert stack.frame_place(Frame(index=0, symbol="f", module="libx.so", offset=1)) == "libx.so+0x1"
    assert stack.frame_place(Frame(index=0, symbol="f", file="a.c", line=3)) == "a.c:3"
    assert stack.frame_name(Frame(index=0)) == "?"


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("race_global", "data race on (anonymous namespace)::g_total (global of 8 bytes)"),
        ("race_heap", "data race on a heap block of 64 bytes"),
        ("race_atomic", "data race on the stack of main thread"),
        ("race_descriptor", "data race on file descriptor "),
        ("external_race", "race on Python list"),
        ("deadlock", "lock-order-inversion (potential deadlock): M0 → M1 → M2 → M0"),
        ("thread_leak", "thread leak"),
    ],
)
def test_headlines_name_the_memory(report_of, name, headline):
    assert wording.headline(report_of(name).findings[0]).startswith(headline)


@pytest.mark.parametrize(
    ("names", "shown"), [(["w"], "an unknown thread 'w'"), ([], "an unknown thread"), (["w", "v"], "an unknown thread")]
)
def test_a_thread_without_a_number_is_not_the_main_thread(names, shown, report_of):
    (finding,) = report_of("race_global").findings
    threads = tuple(replace(finding.threads[0], id=0, name=name) for name in names)
    assert thread_words(0, replace(finding, threads=threads)) == shown


def test_accesses_are_shown_with_their_locks(report_of):
    (finding,) = report_of("race_global").findings
    assert [wording.access_words(access, finding) for access in finding.accesses] == [
        "read of 8 bytes by thread T2 'careless', holding no mutex",
        "earlier write of 8 bytes by thread T1 'careful one', holding M0",
    ]
    (finding,) = report_of("race_atomic").findings
    assert wording.access_words(finding.accesses[1], finding) == "earlier atomic write of 4 bytes by thread T1"


def test_stacks_are_shown_with_where_things_come_from(report_of):
    (finding,) = report_of("race_global").findings
    captions = [(panel.primary, panel.caption.replace("finished", "running")) for panel in wording.panels(finding)][2:]
    assert captions == [
        (False, "mutex M0, created"),
        (False, "thread T2 'careless' (running), created by main thread"),
        (False, "thread T1 'careful one' (running), created by main thread"),
    ]


def test_a_trimmed_stack_counts_what_it_leaves_out(report_of):
    (finding,) = report_of("race_heap").findings
    trimmed = stack.trim(finding.accesses[1].stack)
    assert [each if isinstance(each, Gap) else each.index for each in trimmed] == [Gap(count=2), 2, 3, Gap(count=6)]
    for each in finding.accesses:
        told = sum(part.count if isinstance(part, Gap) else 1 for part in stack.trim(each.stack))
        assert told == len(each.stack.frames)


def test_a_stack_of_nothing_but_libraries_is_kept_whole():
    frames = (Frame(index=0, symbol="memcpy", module="x"), Frame(index=1, module="libc.so.6", offset=3))
    assert stack.trim(Stack(frames=frames)) == list(frames)
    assert stack.trim(None) == []


def test_the_frame_to_look_at_is_yours_before_it_is_anybodys(report_of):
    (finding,) = report_of("race_global").findings
    theirs = Frame(index=0, symbol="PyDict_SetItem", file="dictobject.c", line=1)
    mine = Frame(index=1, symbol="mine", file="mine.cpp", line=2)
    first, second = finding.origins
    changed = (replace(first, frame=theirs, yours=None), replace(second, frame=theirs, yours=mine))
    assert wording.main_frame(replace(finding, origins=changed)) == mine
    assert wording.main_frame(replace(finding, origins=())) is None


def test_the_conclusion_says_what_the_verdict_says(report_of):
    report = report_of("race_global", "segv")
    assert wording.conclusion(report) == "NOT clean: 1 finding"
    assert wording.tally(report) == "1 distinct finding in 1 block of 2 files; 1 fatal end"
    clean = replace(report, verdicts=(replace(report.verdicts[0], status=Status.PASSED, reason="no finding"),))
    assert wording.conclusion(clean) == "clean: no finding"
    assert "of" not in wording.tally(replace(report, inputs=())).split("block")[1]
