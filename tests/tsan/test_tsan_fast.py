"""The fast way of reading gives what the slow way gives, bit for bit: all lines split, all blocks parsed."""

from __future__ import annotations

import itertools
import os
import re
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tsan_logs import BLOCK, CHANCE, FENCE, GO, HEADING, ODD, POOL, SUMMARY, mixed, segment, state
from tsan_printer import print_finding
from tsan_strategies import findings, go_findings

from python_tsan.tsan import digest as digest_module
from python_tsan.tsan import normal_form, skim
from python_tsan.tsan.block import Shape
from python_tsan.tsan.blocks import MAX_SAMPLE_LENGTH, MAX_SAMPLES, Splitter
from python_tsan.tsan.digest import Digest, Shortfall
from python_tsan.tsan.fingerprint import fingerprint, ways
from python_tsan.tsan.lexer import is_output, lex
from python_tsan.tsan.normal_form import Speller
from python_tsan.tsan.parser import parse_block, parse_fatal
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
        group.variants.setdefault(ways(finding), finding)
        group.occurrences += 1
        group.places.setdefault(name, array("Q")).append(block.first_line)
        digest.blocks += 1
        digest.unparsed += len(finding.unparsed)
        keep_samples(digest, finding.unparsed)
    digest.unparsed += splitter.strange
    digest.outside, digest.notices = splitter.outside, splitter.notices
    digest.other_tools = splitter.other_tools
    keep_samples(digest, splitter.samples)
    tally = splitter.tally
    digest.shortfalls = [Shortfall(source=name, read=tally.found, missing=tally.missing)] if tally.missing else []
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
        patch.setattr(digest_module, "MAX_SPELLINGS", 2)
        patch.setattr(normal_form, "MAX_LINES", 5)
        patch.setattr(skim, "_MAX_BLOCK", 400)
        assert fast(cut(chance, text)) == slow(text), text


@settings(deadline=None, max_examples=100 * SCALE)
@given(chance=CHANCE, letters=st.lists(st.sampled_from(["\n", FENCE, *ODD]) | st.text(max_size=6), max_size=60))
def test_any_text_is_read_alike(chance, letters):
    text = "".join(letters)
    assert fast(cut(chance, text)) == slow(text)


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
        ("served 1", "served 2"),
    ],
)
def test_numbers_that_identify_nothing_are_not_spelled(one, other):
    speller = Speller()
    forms = {
        speller.spell([HEADING.replace("7", pid), line, "", SUMMARY]).form for pid, line in (("1", one), ("2", other))
    }
    assert len(forms) == 1
    texts = [f"{HEADING}\n{line}\n    #0 f (a+0x10)\n\n{SUMMARY}" for line in (one, other)]
    forms = {speller.spell_text(text).form for text in (*texts, *texts)}
    assert len(forms - {speller.spell(text.split("\n")).form for text in texts}) <= 1


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
def test_what_may_identify_a_finding_is_spelled(one, other):
    speller = Speller()
    assert speller.spell([HEADING, one, SUMMARY]).form != speller.spell([HEADING, other, SUMMARY]).form
    texts = [f"{HEADING}\n{line}\n    #0 f (a+0x10)\n\n{SUMMARY}" for line in (one, other)]
    forms = [{speller.spell_text(text).form for _ in range(3)} for text in texts]
    assert not forms[0] & forms[1]


def test_titles_are_spelled_and_output_is_returned():
    speller = Speller()
    odd = "WARNING: ThreadSanitizer: race on x (pid=1) (pid=2)"
    heads = (HEADING, "WARNING: DATA RACE", odd, odd.replace("1", "3"))
    assert len({speller.spell([head, "x", "y"]).form for head in heads}) == 4
    lines = [HEADING, "served 1", "    #3 f (a+0x1)", "served 2", SUMMARY]
    assert speller.spell(lines).strays == ["served 1", "served 2"]


@pytest.mark.parametrize(
    "line", [FENCE, SUMMARY, "WARNING: DATA RACE", '{"MESSAGE": "x"}', "x\r", "<br>", "<li>x", "x\0", "\x1b[1m x"]
)
@pytest.mark.parametrize("again", [1, 2, 3])
def test_what_may_end_a_block_is_not_harmless(line, again):
    speller = Speller()
    text = f"{HEADING}\n  Write of size 8 at 0x7b04 by thread T1:\n    #0 f (a+0x10)\n{line}\n\n{SUMMARY}"
    assert not [speller.spell(text.split("\n")) for _ in range(again)][-1].harmless
    assert not [speller.spell_text(text) for _ in range(again)][-1].harmless
    harmless = text.replace(line, "x")
    assert [speller.spell_text(harmless) for _ in range(again)][-1].harmless


@settings(deadline=None, max_examples=500 * SCALE)
@given(CHANCE)
def test_output_is_what_the_lexer_does_not_know(chance):
    line = "".join(chance.choice(ODD + POOL[0] + list("abcf :#)(0"))[: chance.randrange(60)] for _ in range(3))
    assert not is_output(line) or lex(line) is Mark.UNKNOWN
