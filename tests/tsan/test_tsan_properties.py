from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tsan_printer import print_finding
from tsan_strategies import findings, go_findings

from python_tsan.tsan.digest import Digest
from python_tsan.tsan.finding import Source
from python_tsan.tsan.fingerprint import fingerprint
from python_tsan.tsan.outside import MAX_SAMPLES
from python_tsan.tsan.parser import parse_log

# How many times as many examples as usual: `nox -s fuzz` raises it.
SCALE = int(os.environ.get("PYTHON_TSAN_FUZZ_SCALE", "1"))
RELAXED = settings(
    max_examples=100 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
ANY = findings() | go_findings()


def essence(finding):
    """What the block says, without where it stood and how its lines were spelled."""
    locations = tuple(replace(location, text="") for location in finding.locations)
    stacks = tuple(replace(stack, caption="") for stack in finding.stacks)
    nowhere = Source(file="", first_line=0, last_line=0)
    return replace(finding, source=nowhere, raw="", locations=locations, stacks=stacks)


@RELAXED
@given(finding=ANY)
def test_what_is_printed_is_read_back(finding):
    log = parse_log("\n".join(print_finding(finding)), "log")
    assert [essence(read) for read in log.findings] == [essence(finding)]
    assert (log.unparsed, log.outside, log.fatal) == (0, 0, ())
    assert log.findings[0].source.first_line == 2


@RELAXED
@given(several=st.lists(ANY, min_size=2, max_size=4))
def test_several_blocks_in_one_log(several):
    lines = [line for finding in several for line in [*print_finding(finding), "ThreadSanitizer: reported 1 warnings"]]
    log = parse_log(lines, "log")
    assert [essence(read) for read in log.findings] == [essence(finding) for finding in several]


def iso(number):
    return f"2026-11-23T01:02:{number % 60:02}.{number:07}Z "


@pytest.mark.parametrize(
    "dress",
    [
        pytest.param(lambda line, _: line + "\r", id="crlf"),
        pytest.param(lambda line, _: line + "\n", id="line ends"),
        pytest.param(lambda line, _: f"\x1b[1m\x1b[31m{line}\x1b[0m", id="colours"),
        pytest.param(lambda line, _: f"> {line}", id="quoted"),
        pytest.param(lambda line, _: f"> {line}".rstrip(), id="quoted, blanks trimmed"),
        pytest.param(lambda line, n: iso(n) + line, id="GitHub timestamps"),
        pytest.param(lambda line, n: f"build (clang)\tRun tests\t{iso(n)}{line}", id="gh run view"),
        pytest.param(lambda line, n: f"{n:>6}: {line}", id="line numbers"),
        pytest.param(lambda line, n: f"{n}\t{line}", id="cat -n"),
        pytest.param(lambda line, n: f"[{n:>5}.{n:06}] [rank0]: {line}", id="uptime and rank"),
        pytest.param(lambda line, _: f"\x1b[36mweb-1  | \x1b[0m{line}", id="docker compose"),
        pytest.param(lambda line, _: line.strip(), id="indentation lost"),
    ],
)
@settings(RELAXED, max_examples=25 * SCALE)
@given(finding=findings())
def test_dressed_logs_read_the_same(dress, finding):
    lines = [dress(line, number) for number, line in enumerate(print_finding(finding), 1)]
    log = parse_log(lines, "log")
    assert [essence(read) for read in log.findings] == [essence(finding)]
    assert log.unparsed == 0


@RELAXED
@given(finding=findings(), data=st.data())
def test_program_output_between_lines_is_kept_apart(finding, data):
    lines = print_finding(finding)
    noise = st.sampled_from(
        ["[ RUN      ] Suite.Case", "  50% done", "{'a': 1}", "Traceback (most recent call last):", ""]
    )
    wanted = []
    mixed = lines[:2]
    for line in lines[2:]:
        for stray in data.draw(st.lists(noise, max_size=2)):
            mixed.append(stray)
            wanted += [stray] if stray and line != lines[-1] else []
        mixed.append(line)
    read = parse_log(mixed, "log").findings
    assert len(read) == 1
    assert essence(replace(read[0], unparsed=())) == essence(finding)
    if finding.summary:
        assert list(read[0].unparsed) == wanted


@RELAXED
@given(finding=ANY, data=st.data())
def test_a_log_cut_anywhere_gives_what_was_there(finding, data):
    text = "\n".join(print_finding(finding))
    cut = text[: data.draw(st.integers(min_value=0, max_value=len(text)))]
    log = parse_log(cut, "log")
    assert len(log.findings) <= 1
    for read in log.findings:
        assert len(read.accesses) <= len(finding.accesses)
        assert finding.title.startswith(read.title)  # of a heading that is cut, what is left may be a shorter title
        whole = cut.count("=" * 18) == 2 or (finding.summary and "SUMMARY: ThreadSanitizer: " in cut)
        assert read.truncated == (not whole)
        complete = zip(read.accesses[:-1], finding.accesses, strict=False)
        assert all(ours == theirs for ours, theirs in complete)


@RELAXED
@given(finding=findings())
def test_a_block_cut_by_the_next_one_is_truncated(finding):
    lines = print_finding(finding)
    cut = lines[:3]
    log = parse_log([*cut, *lines], "log")
    assert [read.truncated for read in log.findings] == [True, False]
    assert essence(log.findings[1]) == essence(finding)


@settings(RELAXED, max_examples=300 * SCALE)
@given(noise=st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(noise):
    log = parse_log(noise.decode(errors="replace"), "log")
    assert log.unparsed >= 0


PIECES = st.sampled_from(
    [
        "WARNING: ThreadSanitizer: data race (pid=1)",
        "WARNING: ThreadSanitizer: ",
        "WARNING: DATA RACE",
        "SUMMARY: ThreadSanitizer: ",
        "==================",
        "ThreadSanitizer:DEADLYSIGNAL",
        "==1==ERROR: ThreadSanitizer: SEGV",
        "FATAL: ThreadSanitizer",
        "    #0 ",
        "#1 f(",
        " (BuildId: ",
        "  Write of size 8 at 0x1 by thread T1:",
        "  Previous",
        "  Location is global '",
        "Cycle in lock order graph: M1 (0x1) => ",
        "Mutex M0 previously acquired by the same thread here:",
        "  And 3 more similar thread leaks.",
        "\n",
        "\r",
        "\x1b[",
        "> ",
    ]
)


@settings(RELAXED, max_examples=300 * SCALE)
@given(pieces=st.lists(PIECES | st.text(max_size=5), max_size=40))
def test_any_mix_of_pieces_is_read_without_an_error(pieces):
    text = "".join(pieces)
    log = parse_log(text, "log")
    assert len(log.samples) <= MAX_SAMPLES
    for finding in log.findings:
        assert fingerprint(finding)
        assert 1 <= finding.source.first_line <= finding.source.last_line <= text.count("\n") + 1


@RELAXED
@given(several=st.lists(ANY, min_size=1, max_size=4))
def test_the_digest_agrees_with_the_parser(several):
    lines = [line for finding in several for line in print_finding(finding)]
    digest = Digest()
    digest.add(lines, "first")
    digest.add(lines, "second")
    expected: dict[str, int] = {}
    for finding in parse_log(lines, "first").findings:
        expected[fingerprint(finding)] = expected.get(fingerprint(finding), 0) + 2
    assert {key: group.occurrences for key, group in digest.groups.items()} == expected
    assert sum(len(list(group.sources())) for group in digest.groups.values()) == 2 * len(several)


@pytest.mark.parametrize(
    "unit",
    [
        "WARNING: ThreadSanitizer: ",
        "WARNING: Program is run with ",
        "Re-exec ThreadSanitizer ",
        "write at 0x1 by ",
        "#0 ",
        "#0 f (",
        "#0 ( / ",
        "    #1 f(((((",
        "0 a 1",
        "<a =ThreadSanitizer",
        "\x1b]ThreadSanitizer",
        "{ThreadSanitizer",
        '["ThreadSanitizer",',
        "1 ThreadSanitizer: ",
        "Thread T1 '",
        "Location is global '",
        "Location is x of size 1 ",
        "modifying access of x at 0x1 ",
        "M1 (0x1) => ",
        " ",
        "x",
        "f at ",
        "\\",
        "a\b",
        "1a2b3c4d ",
        'a="b" ',
        "0",
    ],
)
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.timeout(120)
def test_no_line_takes_long(unit, inside):
    line = (unit * 600_000)[: 1 << 20]
    heading = ["WARNING: ThreadSanitizer: data race (pid=1)"] if inside else []
    log = parse_log([*heading, f"#0 {unit * 2000}x (a+0x1)", f"ThreadSanitizer {line}x", line + "x", f"#0 {line}x"])
    for finding in log.findings:
        assert fingerprint(finding)
