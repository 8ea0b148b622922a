"""The fast way of reading gives what the slow way gives, bit for bit: all lines split, all blocks parsed."""

from __future__ import annotations

import itertools
import os
import re
from array import array

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tsan_logs import BLOCK, CHANCE, FENCE, GO, HEADING, ODD, POOL, SUMMARY, mixed, segment, state
from tsan_printer import print_finding
from tsan_strategies import findings, go_findings

from python_tsan.tsan import digest as digest_module
from python_tsan.tsan import frame_line, skim
from python_tsan.tsan.block import Shape
from python_tsan.tsan.digest import Digest, Shortfall
from python_tsan.tsan.fingerprint import fingerprint, ways
from python_tsan.tsan.lexer import lex
from python_tsan.tsan.normal_form import form_of_block, is_harmless, outline
from python_tsan.tsan.outside import MAX_SAMPLE_LENGTH, MAX_SAMPLES
from python_tsan.tsan.parser import parse_block, parse_fatal
from python_tsan.tsan.splitter import Splitter
from python_tsan.tsan.tokens import Mark

SCALE = int(os.environ.get("PYTHON_TSAN_FUZZ_SCALE", "1"))


def slow(text, name="log"):
    """Return what a digest holds, by the parser alone: no block is known, none is skipped."""
    splitter = Splitter()
    digest = Digest()
    for block in splitter.split(text.removesuffix("\n").split("\n")):
        if block.shape is Shape.FATAL:
            digest.fatal.append(parse_fatal(block, name))
            continue
        finding = parse_block(block, name)
        group = digest.groups.setdefault(fingerprint(finding), digest_module.Group(fingerprint(finding), finding))
        group.ways.setdefault(ways(finding), finding)
        group.occurrences += 1
        group.places.setdefault(name, array("Q")).append(block.first_line)
        digest.blocks += 1
        digest.unparsed += len(finding.unparsed)
        keep_samples(digest, finding.unparsed)
    outside = splitter.outside
    digest.unparsed += outside.strange
    digest.outside, digest.notices = outside.lines, outside.notices
    digest.other_tools = outside.other_tools
    keep_samples(digest, outside.samples)
    tally = outside.tally
    digest.shortfalls = [Shortfall(source=name, read=tally.found, missing=tally.missing)] if tally.missing else []
    rest = Digest()
    rest.close(outside, name)
    digest.unread = rest.unread
    return state(digest)


def keep_samples(digest, lines):
    for line in lines:
        if line[:MAX_SAMPLE_LENGTH] not in digest.samples:
            digest.samples = [*digest.samples, line[:MAX_SAMPLE_LENGTH]][:MAX_SAMPLES]


def fast(pieces, name="log"):
    digest = Digest()
    digest.read(pieces, name)
    return state(digest)


def cut(chance, text):
    """Cut a text into pieces that end where a line ends."""
    lines = re.findall(r"[^\n]*\n|[^\n]+$", text)
    pieces = []
    while lines:
        count = chance.choice([1, 2, 7, 40, len(lines)])
        pieces.append("".join(lines[:count]))
        del lines[:count]
    return pieces


@settings(deadline=None, max_examples=250 * SCALE)
@given(chance=CHANCE, printed=st.lists(findings() | go_findings(), max_size=2))
def test_any_log_is_read_alike_by_both_ways(chance, printed):
    blocks = [*chance.sample(POOL, 2), BLOCK, GO, *map(print_finding, printed)]
    lines = []
    for _ in range(chance.randint(1, 3)):
        lines += mixed(chance) if chance.random() < 0.3 else segment(chance, blocks)
    text = "\n".join(lines) + chance.choice(["", "\n"])
    assert fast(cut(chance, text)) == slow(text), text


@settings(deadline=None, max_examples=60 * SCALE)
@given(chance=CHANCE)
def test_forgetting_changes_nothing(chance):
    text = "\n".join(itertools.chain(*(segment(chance, POOL) for _ in range(3))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest_module, "MAX_FORMS", 2)
        patch.setattr(skim, "_MAX_MEMORY", 5)
        patch.setattr(skim, "_MAX_BLOCK", 400)
        assert fast(cut(chance, text)) == slow(text), text


@settings(deadline=None, max_examples=100 * SCALE)
@given(chance=CHANCE, letters=st.lists(st.sampled_from(["\n", FENCE, *ODD]) | st.text(max_size=6), max_size=60))
def test_any_text_is_read_alike(chance, letters):
    text = "".join(letters)
    assert fast(cut(chance, text)) == slow(text)


def form_of(text):
    return form_of_block(text)[0]


def test_output_behind_a_block_is_not_inside_of_it():
    block = [FENCE, *BLOCK[BLOCK.index(HEADING) :]] if HEADING in BLOCK else [FENCE, *BLOCK]
    block = block[: block.index(SUMMARY) + 1]
    text = "\n".join([*block, FENCE, *block, "it is up", FENCE, "x", ""])
    assert fast([text]) == slow(text)


@pytest.mark.parametrize("text", [FENCE * 2, f"{FENCE * 2}\n", f"{FENCE * 3}\nx", f"x{FENCE}", f"{FENCE}x\n{FENCE}\n"])
def test_fences_that_touch_are_one_line(text):
    assert fast([text]) == slow(text)
    assert fast([f"{text}\n"]) == slow(f"{text}\n")


def seen_by_splitter(text, monkeypatch):
    """Return the lines that were not skipped."""
    seen = []
    original = Splitter.split

    def split(self, lines, *, last):
        return original(self, (seen.append(line) or line for line in lines), last=last)

    monkeypatch.setattr(Splitter, "split", split)
    fast([text])
    return seen


def timed(lines):
    return [f"2026-11-23T01:{n // 60:02}:{n % 60:02}.1234567Z {line}" for n, line in enumerate(lines)]


@pytest.mark.parametrize(
    "block", [BLOCK, GO, [*BLOCK[:4], "served in {n} us", *BLOCK[4:]]], ids=["c++", "go", "output"]
)
def test_known_blocks_are_not_split(block, monkeypatch):
    lines = [line.replace("{n}", str(n)) for n in range(50) for line in block]
    assert len(seen_by_splitter("\n".join(lines) + "\n", monkeypatch)) <= 2 * len(block)


@pytest.mark.parametrize("prefix", ["", "2026-11-23T01:02:03.4567890Z "])
def test_known_blocks_that_follow_each_other_are_taken_at_once(prefix, monkeypatch):
    single = []
    take_text = Digest._take_text
    monkeypatch.setattr(
        Digest, "_take_text", lambda *given, **named: single.append(given) or take_text(*given, **named)
    )
    digest = Digest()
    digest.read(["".join(f"{prefix}{line}\n" for _ in range(50) for line in BLOCK)] * 2, "log")
    assert digest.blocks == 100
    assert len(single) <= 3


def test_known_blocks_with_a_time_before_each_line_are_not_split(monkeypatch):
    lines = timed([line for _ in range(50) for line in BLOCK])
    assert len(seen_by_splitter("\n".join(lines) + "\n", monkeypatch)) <= 3 * len(BLOCK)


def ranked(lines):
    """Mix the lines of two processes, each with its rank."""
    first, second = ([f"[rank {rank}] {line}" for line in lines] for rank in (1, 2))
    return [line for pair in zip(first, second[3:] + second[:3], strict=True) for line in pair]


@pytest.mark.parametrize("number", ["", "{n}"], ids=["known blocks", "blocks that are not known"])
def test_mixed_blocks_are_not_split(number, monkeypatch):
    lines = [line.replace("f(int)", f"f{number.format(n=n)}(int)") for n in range(50) for line in BLOCK]
    assert len(seen_by_splitter("\n".join(ranked(lines)) + "\n", monkeypatch)) <= 4 * len(BLOCK)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "  Write of size 8 at 0x7b04 by thread T1:",
            "  Write of size 4 at 0x10 by thread T22 (mutexes: write M1, read M2):",
        ),
        (
            "  Location is heap block of size 8 at 0x1 allocated by main thread:",
            "  Location is heap block of size 9 at 0xa allocated by thread T4:",
        ),
        ("  Location is stack of main thread.", "  Location is stack of thread T9."),
        ("  Location is global 'x' of size 8 at 0x1 (a+0x30)", "  Location is global 'x' of size 8 at 0x2 (a+0x30)"),
        ("  Mutex M1 (0x1) created at:", "  Mutex M22 (0x22) created at:"),
        (
            "  Thread T1 (tid=1, running) created by main thread at:",
            "  Thread T2 'x' (tid=2, finished) created by thread T1 at:",
        ),
        (
            "  Cycle in lock order graph: M0 (0x1) => M1 (0x2) => M0",
            "  Cycle in lock order graph: M5 (0x5) => M6 (0x6) => M5",
        ),
        ("    #3 <null> <null> (0x7f3c5a2b1c40)", "    #3 <null> <null> (0x7f3c5a2b1000)"),
        ("    #3 0x7f01 in f(int) /a.cpp:3 (a+0x1)", "    #3 0x7f02 in f(int) /a.cpp:3 (a+0x1)"),
        ("Previous write at 0x00c0000b4010 by goroutine 7:", "Previous read at 0x00c0000b4018 by main goroutine:"),
        ("Goroutine 7 (running) created at:", "Goroutine 8 (finished) created at:"),
        ("served 1 request", "served 2 requests"),
    ],
)
def test_numbers_that_identify_nothing_are_not_in_the_normal_form(one, other):
    forms = {
        form_of("\n".join(["", HEADING.replace("7", pid), line, "", SUMMARY, ""]))
        for pid, line in (("1", one), ("2", other))
    }
    assert len(forms) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("  Write of size 8 at 0x7b04 by thread T1:", "  Write of size 8 at 0x by thread T1:"),
        ("  Write of size 8 at 0x7b04 by thread T1:", "  Mutex M1 (0x1) created at:"),
        ("  Location is global 'x1' of size 8 at 0x1 (a+0x30)", "  Location is global 'x2' of size 8 at 0x1 (a+0x30)"),
        ("  Location is global 'x' of size 8 at 0x1 (a+0x30)", "  Location is global 'x' of size 8 at 0x1 (b+0x30)"),
        ("  Location is stack of main thread.", "  Location is TLS of main thread."),
        ("    #3 <null> <null> (0x7f01)", "    #4 <null> <null> (0x7f01)"),
        ("    #3 f <null> (0x7f01)", "    #3 g <null> (0x7f01)"),
        ("    #3 0x7f01 in f(int) /a.cpp:3 (a+0x1)", "    #3 0x7f01 in f(int) /a.cpp:3 (a+0x2)"),
        ("    #3 f (a+0x1)", "    #3 f (a+0x2)"),
        ("served 1", "    #3 f (a+0x1)"),
    ],
)
def test_what_may_identify_a_finding_is_in_the_normal_form(one, other):
    texts = [f"\n{HEADING}\n{line}\n{SUMMARY}\n" for line in (one, other)]
    assert len(set(map(form_of, texts))) == 2


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: ThreadSanitizer: data race of size ",
        " of size ",
        "Thread ",
        "#3 ",
        "    #3 ",
        "ThreadSanitizer: data race ",
        "created",
    ],
)
def test_what_is_kept_of_a_line_is_not_taken_for_a_line(line):
    texts = [f"\n{HEADING}\n{each}\n    #0 f (a+0x1)\n" for each in ("", line)]
    kept = [form_of(text) for text in texts]
    printed = form_of(f"\n{HEADING}\n  Write of size 8 at 0x7b04 by thread T1:\n    #0 f (a+0x1)\n")
    assert len({*kept, printed}) == 3


def test_titles_are_in_the_normal_form():
    odd = "WARNING: ThreadSanitizer: race on x (pid=1) (pid=2)"
    heads = (HEADING, "WARNING: DATA RACE", odd, odd.replace("1", "3"))
    assert len({form_of(f"\n{head}\nx\ny\n") for head in heads}) == 4


def test_output_is_returned_and_left_out():
    lines = [HEADING, "served 1 of 3.", "    #3 f (a+0x1)", "[w] served 2 of 3", "x  y", "it is up", SUMMARY]
    strays = ["served 1 of 3.", "it is up"]
    bare = [line for line in lines if line not in strays]
    assert form_of_block("\n".join(["", *lines, ""])) == (form_of("\n".join(["", *bare, ""])), strays)


ENDING = [FENCE, SUMMARY, "WARNING: DATA RACE", '{"MESSAGE": "x"}', "x\r", "<br>", "<li>x", "x\0", "\x1b[1m x"]


@pytest.mark.parametrize("line", ENDING)
def test_a_block_with_a_line_that_may_end_it_is_not_plain(line):
    lines = [HEADING, "  Write of size 8 at 0x7b04 by thread T1:", "    #0 f (a+0x10)", line, "", SUMMARY]
    assert not outline(lines).plain
    assert outline([each.replace(line, "x") for each in lines]).prefixed or line == SUMMARY


@pytest.mark.parametrize("line", [*ENDING, "x\t", "f x.", "read x.", "Mutex.", "a  #0 x.", "[1m.", "x (a+0x1)", " x."])
def test_output_that_may_matter_is_not_left_out(line):
    text = f"\n{HEADING}\n{line}\n{SUMMARY}\n"
    assert form_of_block(text)[1] == []


@pytest.mark.parametrize("name", ["ThreadSanitizer", "x\x1b[1m", "<br>", "=" * 18, "WARNING: D"])
def test_a_name_that_may_matter_is_in_the_normal_form(name):
    line = f"  Thread T1 '{name}' (tid=1, running) created by main thread at:"
    assert name in form_of(f"\n{HEADING}\n{line}\n")


@settings(deadline=None, max_examples=500 * SCALE)
@given(CHANCE)
def test_output_that_is_left_out_is_of_no_part(chance):
    line = "".join(chance.choice(ODD + POOL[0] + list("abcf :#)([0m")).strip()[:30] for _ in range(3))
    for stray in form_of_block(f"\n{line}\n{line} x.\n")[1]:
        assert lex(stray) is Mark.UNKNOWN
        assert is_harmless(stray)


WORDS = st.sampled_from(
    [
        *("f", "main", "worker(int)", "~T", "T<int, char>", "operator()", "operator==", "operator int*", "const"),
        *(" ", " at ", " in ", "0x12 in ", "[abi:x]", "[inlined]", "(a", "b)", "/", "./", "../", "C:/", "a", "a.cpp"),
        *("@", "`", "<null>", "{lambda}", "x+0x1f", " + 5", ":1", ":", "(x+0x1)", "(in App)", "::", "&", "é", "+", "-"),
        "a.b-cgu.0",
    ]
)
PLACES = st.sampled_from([":1", ":12:5", "", ":?", ":1:2:3", ":007"])
PIECES = st.lists(WORDS, max_size=4).map("".join)


@given(
    PIECES,
    PIECES,
    st.sampled_from([":1", ":12:5", "", ":?", ":1:2:3", ":007"]),
    PIECES,
    st.sampled_from(["", " (BuildId: 1f)"]),
)
@settings(max_examples=2000)
@example("main", "src/a.cpp", ":1:2", "race", "")
@example("f(int)", "a+b/c.hpp", ":1", "libstdc++.so.6", " (BuildId: 1f)")
def test_a_plain_frame_is_read_as_any_other(symbol, path, place, module, tail):
    text = " ".join(f"#0 {symbol} /{path}{place} ({module}+0x1f){tail}".split())
    assert frame_line._plain_frame(text) in {None, frame_line._any_frame(text)}


def test_most_frames_are_plain():
    lines = [
        "#0 worker(int) /src/race.cpp:12:5 (race+0xe4590)",
        "#12 T<int>::f() const /a/b.h:1 (libstdc++.so.6+0x1f) (BuildId: 1f)",
    ]
    assert [frame_line._plain_frame(line) for line in lines] == [frame_line.read_frame(line) for line in lines]


@pytest.mark.parametrize("line", range(2, 9))
def test_a_block_that_was_first_met_with_output_in_it_has_fewer_lines_later(line):
    mixed_in = [*BLOCK[:line], "request 17 served in 9 us", *BLOCK[line:]]
    text = "".join(f"{each}\n" for each in [*mixed_in, *BLOCK * 3])
    assert fast([text]) == slow(text)
    assert fast(text.splitlines(keepends=True)) == slow(text)
