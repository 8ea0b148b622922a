"""Logs of several sources in one, cut and filtered: no block is lost silently, and none is of two sources."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tsan_logs import BLOCK, CHANCE, POOL, build, interleave, sources_of, wrap

from python_tsan.tsan.fingerprint import identity
from python_tsan.tsan.parser import parse_log

# How many times as many examples as usual: `nox -s fuzz` raises it.
SCALE = int(os.environ.get("PYTHON_TSAN_FUZZ_SCALE", "1"))
CLAIMS = re.compile(r"WARNING: (?:ThreadSanitizer|DATA RACE)|SUMMARY: ThreadSanitizer|reported [1-9]\d* warnings")
TEXT = st.text(max_size=8)


@settings(deadline=None, max_examples=150 * SCALE)
@given(chance=CHANCE)
def test_whole_sources_are_read_as_if_alone(chance):
    names, sources = build(chance)
    mixed = interleave(chance, wrap(chance, sources, names))
    log = parse_log(mixed)
    alone = [identity(finding) for source in sources for finding in parse_log(source).findings]
    assert sorted(identity(finding) for finding in log.findings) == sorted(alone), "\n".join(mixed)
    assert log.missing == 0
    # The output of a source whose prefix has not been seen yet may be taken for that of one without a prefix.
    assert all(line.endswith("hello") for line in log.samples), "\n".join(mixed)
    assert all(len(sources_of(finding)) <= 1 for finding in log.findings)


@settings(deadline=None, max_examples=150 * SCALE)
@given(chance=CHANCE)
def test_cut_and_filtered_sources_are_never_clean_and_never_joined(chance):
    names, sources = build(chance)
    parts = []
    for source in sources:
        start, end = sorted(chance.randrange(len(source) + 1) for _ in range(2))
        lines = source[start:end] if chance.random() < 0.5 else source
        dropped = chance.choice([0.0, 0.05, 0.3])
        parts.append([line for line in lines if chance.random() >= dropped])
    mixed = interleave(chance, wrap(chance, parts, names))
    log = parse_log(mixed)
    for finding in log.findings:
        assert len(sources_of(finding)) <= 1, "\n".join(mixed)
    if any(CLAIMS.search(line) for part in parts for line in part):
        assert log.findings or log.missing, "\n".join(mixed)


@pytest.mark.parametrize("dress", [lambda line, n: f"{n}: {line}", lambda line, n: f"log:{n}:{line}"])
@settings(deadline=None, max_examples=30 * SCALE)
@given(chance=CHANCE)
def test_numbers_of_lines_join_a_log(dress, chance):
    _, sources = build(chance)
    lines = [line for source in sources for line in source]
    start = chance.randrange(1000)
    numbered = parse_log([dress(line, start + number) for number, line in enumerate(lines)])
    assert [identity(each) for each in numbered.findings] == [identity(each) for each in parse_log(lines).findings]
    assert numbered.missing == 0


@pytest.mark.parametrize("after", ["\r0", "\r100 %\r", "\r\r\rdone"])
@pytest.mark.parametrize("before", ["", "0 %\r"])
def test_a_heading_that_a_progress_bar_overwrites_is_read(before, after):
    lines = [f"{before}{line}{after}" if "WARNING" in line else line for line in BLOCK]
    assert lines != BLOCK
    assert list(map(identity, parse_log(lines).findings)) == list(map(identity, parse_log(BLOCK).findings))


@settings(deadline=None, max_examples=100 * SCALE)
@given(chance=CHANCE, noise=st.lists(TEXT, min_size=1))
def test_a_heading_is_never_lost(chance, noise):
    lines = [line + "".join(noise) if chance.random() < 0.2 else line for line in chance.choice(POOL)]
    prefix = chance.choice(noise)
    log = parse_log([prefix + line for line in lines])
    assert log.findings or log.missing
