from __future__ import annotations

import tracemalloc

import pytest
from tsan_logs import GO_TEXT

from python_tsan.tsan import blocks, outside
from python_tsan.tsan.block import MAX_LINES
from python_tsan.tsan.digest import Digest
from python_tsan.tsan.finding import Dialect, FatalKind, Kind
from python_tsan.tsan.parser import parse_lines, parse_log
from python_tsan.tsan.splitter import Splitter

HEADING = "WARNING: ThreadSanitizer: data race (pid=7)"
FENCE = "=================="
BLOCK = [
    HEADING,
    "  Write of size 8 at 0x7b04 by thread T1:",
    "    #0 f(int) /src/a.cpp:3:5 (a+0x10)",
    "",
    "  Previous read of size 8 at 0x7b04 by main thread:",
    "    #0 g(int) /src/a.cpp:9:5 (a+0x20)",
    "",
]
END = "SUMMARY: ThreadSanitizer: data race /src/a.cpp:3:5 in f(int)"


def test_source_lines_are_those_of_heading_and_summary():
    (finding,) = parse_log(["hello", FENCE, *BLOCK, END, FENCE], "run.log").findings
    assert (finding.source.file, finding.source.first_line, finding.source.last_line) == ("run.log", 3, 10)
    assert finding.raw.splitlines() == [*BLOCK, END]


def test_lines_outside_are_counted_not_kept():
    log = parse_log(["one", "", "two", FENCE, *BLOCK, END, FENCE, "three", "==7==ABORTING"])
    assert (log.outside, log.unparsed) == (3, 0)


def test_strange_lines_are_sampled():
    log = parse_log(["WARNING: ThreadSanitizer: data ra", "ThreadSanitizer: reported 3 warnings", "x" * 9])
    assert (log.unparsed, log.samples, log.outside) == (1, ("WARNING: ThreadSanitizer: data ra",), 1)


def test_unknown_title_is_kept_as_printed():
    (finding,) = parse_log(["WARNING: ThreadSanitizer: quantum race (pid=1)", *BLOCK[1:], END]).findings
    assert (finding.kind, finding.title) == (Kind.UNRECOGNISED, "quantum race")
    assert len(finding.accesses) == 2


def test_block_without_summary_ends_at_its_fence():
    (finding,) = parse_log([FENCE, *BLOCK, FENCE, "more"]).findings
    assert not finding.truncated


def test_fence_of_the_next_block_does_not_end_the_cut_one():
    first, second = parse_log([FENCE, *BLOCK[:3], FENCE, *BLOCK, END, FENCE]).findings
    assert (first.truncated, second.truncated) == (True, False)
    assert len(first.accesses) == 1


def test_program_output_after_a_cut_block_is_not_its_own():
    log = parse_log([*BLOCK, "Segmentation fault", "make: *** [all] Error 1"])
    (finding,) = log.findings
    assert finding.truncated
    assert finding.unparsed == ()
    assert log.outside == 2 + 1  # the blank line before them is cut off with them
    assert finding.source.last_line == 6


def test_endless_block_is_cut():
    lines = [*BLOCK, *["noise"] * (MAX_LINES + 10), *BLOCK, END]
    log = parse_log(lines)
    assert [finding.truncated for finding in log.findings] == [True, False]
    assert log.unparsed == 0


def test_output_glued_to_a_line_is_split_off():
    lines = [*BLOCK[:2], "done 10%" + BLOCK[2], "", "done 20%" + BLOCK[4], *BLOCK[5:], END]
    log = parse_log(lines)
    (finding,) = log.findings
    assert [access.stack.frames[0].symbol for access in finding.accesses] == ["f(int)", "g(int)"]
    assert finding.unparsed == ("done 10%", "done 20%")
    assert log.unparsed == 2


def test_output_glued_to_the_heading():
    (finding,) = parse_log(["progress: 50 %" + HEADING, *BLOCK[1:], END]).findings
    assert (finding.title, finding.pid, len(finding.accesses)) == ("data race", 7, 2)


def test_two_processes_in_sequence():
    other = [HEADING.replace("7", "8"), *BLOCK[1:], END]
    assert [finding.pid for finding in parse_log([*BLOCK, END, *other]).findings] == [7, 8]


@pytest.mark.parametrize(
    ("lines", "kind", "pid"),
    [
        (["FATAL: ThreadSanitizer: unexpected memory mapping 0x55d0-0x55d1"], FatalKind.FATAL, None),
        (["==4==FATAL: ThreadSanitizer: memory layout is incompatible"], FatalKind.FATAL, 4),
        (
            ['ThreadSanitizer: CHECK failed: rtl.cpp:1 "((a)) != (0)" (0x0, 0x0) (tid=4)', "    #0 f <null> (a+0x1)"],
            FatalKind.CHECK,
            None,
        ),
        (['FATAL: ThreadSanitizer CHECK failed: rtl.cc:1 "((a)) != (0)" (0x0, 0x0)'], FatalKind.CHECK, None),
        (["ThreadSanitizer:DEADLYSIGNAL", "==4==ERROR: ThreadSanitizer: SEGV on x"], FatalKind.SIGNAL, 4),
        (["==4==ERROR: ThreadSanitizer: requested allocation size 0xffff exceeds"], FatalKind.FATAL, 4),
    ],
)
def test_last_words(lines, kind, pid):
    log = parse_log([*lines, "make: *** Error 66"])
    (fatal,) = log.fatal
    assert (fatal.kind, fatal.pid, log.findings) == (kind, pid, ())
    assert "make" not in fatal.raw
    assert log.outside == 1


def test_last_words_cut_a_block():
    log = parse_log([*BLOCK, "ThreadSanitizer:DEADLYSIGNAL", "==4==ERROR: ThreadSanitizer: SEGV on x", END])
    assert [finding.truncated for finding in log.findings] == [True]
    assert log.fatal[0].message == "==4==ERROR: ThreadSanitizer: SEGV on x"


GO = f"==================\n{GO_TEXT}==================\nFound 1 data race(s)\n"


def test_go():
    log = parse_log(GO)
    (finding,) = log.findings
    assert (finding.kind, finding.dialect, finding.pid) == (Kind.RACE, Dialect.GO, None)
    assert [access.stack.frames[0].symbol for access in finding.accesses] == ["main.main.func1", "main.main"]
    assert finding.accesses[0].stack.frames[0].offset == 0x44
    assert finding.threads[0].stack.frames[0].line == 10
    assert log.unparsed == 0


def test_go_frames_in_a_c_block_are_program_output():
    (finding,) = parse_log([*BLOCK[:3], "  main.main()", "      /src/main.go:14 +0x9b", *BLOCK[3:], END]).findings
    assert finding.unparsed == ("  main.main()", "      /src/main.go:14 +0x9b")
    assert len(finding.accesses) == 2


def test_blocks_come_as_soon_as_they_end():
    def lines():
        yield from [*BLOCK, END]
        raise AssertionError("read on before the block was handed out")

    assert next(iter(parse_lines(lines(), "x"))).title == "data race"


def many(blocks_wanted):
    for number in range(blocks_wanted):
        yield from [line.replace("0x7b04", hex(number)).replace("T1", f"T{number}") for line in BLOCK]
        yield END
        yield FENCE


def peak_of(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_log():
    def read(wanted):
        return peak_of(lambda: sum(1 for _ in parse_lines(many(wanted), "x")))

    # Findings that were kept would take 3 kB each: 9 MB more.
    assert read(4000) < read(1000) + 1_000_000


def test_digest_memory_is_bounded_by_distinct_texts(monkeypatch):
    monkeypatch.setattr("python_tsan.tsan.digest.MAX_FORMS", 16)

    def distinct(wanted):
        for number in range(wanted):
            block = [line.replace("f(int)", f"f{number}(int)") for line in BLOCK]
            yield from [*block[:3], f"noise {number}", *block[3:], END]

    digest = Digest()
    digest.add(distinct(500), "x")
    assert (len(digest.groups), digest.blocks, digest.unparsed) == (500, 500, 500)
    assert len(digest._forms) <= 16
    assert len(digest.samples) == outside.MAX_SAMPLES


@pytest.mark.parametrize("where", ["in a block", "outside"])
def test_a_sample_is_cut_at_its_greatest_length(where):
    line = "ThreadSanitizer: " + "x" * outside.MAX_SAMPLE_LENGTH
    digest = Digest()
    digest.add([*BLOCK[:3], line, *BLOCK[3:], END] if where == "in a block" else [line], "x")
    assert (digest.unparsed, digest.samples) == (1, [line[: outside.MAX_SAMPLE_LENGTH]])
    assert len(digest.samples[0]) == 500


def test_a_sample_that_fits_is_kept_whole():
    lines = ["x" * outside.MAX_SAMPLE_LENGTH, "noise"]
    digest = Digest()
    digest.add([*BLOCK[:3], *lines, *BLOCK[3:], END], "x")
    assert digest.samples == lines


def test_digest_counts_a_repeated_text_without_parsing_it(monkeypatch):
    digest = Digest()
    digest.add(many(1), "x")
    monkeypatch.setattr("python_tsan.tsan.digest.parse_block", None)
    digest.add(many(3), "y")
    (group,) = digest.groups.values()
    assert (group.occurrences, list(group.sources())) == (4, [("x", 1), ("y", 1), ("y", 10), ("y", 19)])


def test_digest_recognizes_a_block_with_other_numbers_and_names(monkeypatch):
    def block(number, name):
        return [
            f"WARNING: ThreadSanitizer: data race (pid={number})",
            f"  Write of size 8 at {number:#x} by thread T{number} (mutexes: write M{number}):",
            "    #0 f(int) /src/a.cpp:1:2 (a+0x10)",
            f"  Location is heap block of size {number} at {number:#x} allocated by main thread:",
            f"  Thread T{number} '{name}' (tid={number}, running) created by main thread at:",
            END,
        ]

    digest = Digest()
    digest.add(block(1, "worker-1"), "x")
    monkeypatch.setattr("python_tsan.tsan.digest.parse_block", None)
    digest.add([*block(22, "a (b)"), *block(333, "")], "y")
    (group,) = digest.groups.values()
    assert group.occurrences == 3


def test_splitter_counts_while_it_runs():
    splitter = Splitter()
    assert not list(splitter.split(["a", "b", "ThreadSanitizer ate my homework"]))
    assert (splitter.outside.lines, splitter.outside.strange) == (2, 1)


@pytest.mark.parametrize(("old", "new"), [("g(int)", "h(int)"), ("/src/a.cpp:9", "/src/b.cpp:9"), ("g_T1", "g_T2")])
def test_digest_keeps_different_findings_apart(old, new):
    block = [*BLOCK, "  Location is global 'g_T1' of size 8 at 0x7b04 (a+0x30)", END]
    digest = Digest()
    digest.add([*block, *(line.replace(old, new) for line in block)], "x")
    assert [group.occurrences for group in digest.groups.values()] == [1, 1]


def test_samples_are_cut_inside_and_outside_of_blocks():
    digest = Digest()
    digest.add([*BLOCK[:2], "x" * 9000, *BLOCK[2:], END, "ThreadSanitizer ate " + "y" * 9000], "x")
    assert [len(sample) for sample in digest.samples] == [outside.MAX_SAMPLE_LENGTH] * 2


def test_a_cut_block_and_its_whole_are_one_finding():
    digest = Digest()
    digest.add([*BLOCK, FENCE, *BLOCK, END], "x")
    (group,) = digest.groups.values()
    assert (group.occurrences, group.finding.truncated) == (2, True)


def test_blocks_that_differ_in_the_module_of_an_unnamed_frame_are_two():
    def block(offset):
        return [line.replace("#0 f(int) /src/a.cpp:3:5 (a+0x10)", f"0 <null> <null> (a+{offset})") for line in BLOCK]

    digest = Digest()
    digest.add([*block("0x10"), END, *block("0x20"), END], "x")
    assert len(digest.groups) == 2


def test_a_long_block_is_not_remembered():
    digest = Digest()
    digest.add([*BLOCK[:3], *["noise"] * 500, *BLOCK[3:], END], "x")
    assert not digest._forms


def test_a_block_of_long_lines_is_cut():
    log = parse_log([*BLOCK[:3], *["x" * 1_000_000] * 9, *BLOCK, END])
    assert [finding.truncated for finding in log.findings] == [True, False]


def test_the_oldest_of_too_many_open_blocks_is_cut():
    heads = [f"web-{number}: {HEADING}" for number in range(blocks.MAX_OPEN + 1)]
    ends = [f"web-{number}: {END}" for number in range(blocks.MAX_OPEN + 1)]
    log = parse_log([*heads, *ends])
    assert [finding.truncated for finding in log.findings] == [True] + [False] * blocks.MAX_OPEN
    assert log.missing == 0
