"""A log that is read in parts by several processes holds what it holds for one, bit for bit."""

from __future__ import annotations

import itertools
import os
import random
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from tsan_logs import BLOCK, CHANCE, GO, ODD, POOL, SUMMARY, again, mixed, segment, state

from python_tsan.detect import parts
from python_tsan.detect.lines import Lines
from python_tsan.detect.parts import LogInParts
from python_tsan.tsan import digest as digest_module
from python_tsan.tsan.digest import Digest, Packed
from python_tsan.tsan.notices import Tally
from python_tsan.tsan.splitter import Splitter

SCALE = int(os.environ.get("PYTHON_TSAN_FUZZ_SCALE", "1"))
# The processes are forked here also where a test runner has threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture
def small(monkeypatch):
    """Let parts be small."""
    sizes(monkeypatch)


def sizes(monkeypatch, part=3000, first=500, approach=4000, jobs=2):
    monkeypatch.setattr(parts, "PART_SIZE", part)
    monkeypatch.setattr(parts, "FIRST_SIZE", first)
    monkeypatch.setattr(parts, "APPROACH_SIZE", approach)
    monkeypatch.setattr(parts, "_jobs", lambda: jobs)
    monkeypatch.setattr(digest_module, "PACKED", 3)


def one_process(path):
    digest = Digest()
    lines = Lines([path.read_bytes()], "utf-8-sig")
    digest.read(lines.pieces(), "log")
    return state(digest), lines.binary, lines.overlong


def children():
    """Return the children of this process, those that wait to be reaped included."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def in_parts(path):
    """Return the same by parts, and which of them this process read."""
    here = []
    original = LogInParts._read_here

    def read_here(self, ends, index, *, rest=False):
        here.append((index, rest))
        return original(self, ends, index, rest=rest)

    digest = Digest(packs=True)
    with pytest.MonkeyPatch.context() as patch, path.open("rb") as file:
        patch.setattr(LogInParts, "_read_here", read_here)
        log = LogInParts(digest, file.fileno(), "log", path.stat().st_size)
        done = log.read()
    if not done:
        assert state(digest) == state(Digest())
        return None, here
    return (state(digest), log.binary, log.overlong), here


def write(path, lines):
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(errors="surrogatepass"))
    return path


@settings(deadline=None, max_examples=60 * SCALE)
@given(chance=CHANCE)
def test_any_log_is_read_alike_in_parts(chance, tmp_path_factory):
    lines = []
    for _ in range(chance.randint(2, 8)):
        blocks = [*chance.sample(POOL, 2), BLOCK, GO]
        lines += mixed(chance) if chance.random() < 0.4 else segment(chance, blocks) * chance.choice([1, 3])
    path = write(tmp_path_factory.mktemp("parts") / "log", lines)
    with pytest.MonkeyPatch.context() as patch:
        sizes(
            patch,
            part=chance.choice([700, 3000, 9000]),
            first=chance.choice([10, 500]),
            approach=chance.choice([1, 400, 5000]),
            jobs=chance.choice([1, 2, 3]),
        )
        patch.setattr(parts, "MAX_FAILURES", chance.choice([1, 3, 99]))
        patch.setattr(digest_module, "MAX_FORMS", chance.choice([1, 4, 4096]))
        found, _ = in_parts(path)
    if found:  # a zero byte in the first piece makes a log binary; here pieces differ
        wanted = one_process(path)
        assert (found[0], found[2]) == (wanted[0], wanted[2])


def timed(lines):
    return [f"2026-11-23T01:{n // 60 % 60:02}:{n % 60:02}.1234567Z {line}" for n, line in enumerate(lines)]


def ranked(lines):
    """Mix the lines of two processes, each with its rank."""
    sources = [[f"[rank {rank}] {line}" for line in lines] for rank in (1, 2)]
    return [line for pair in zip(sources[0], sources[1][3:] + sources[1][:3], strict=True) for line in pair]


@pytest.mark.parametrize("dress", [list, timed, ranked], ids=lambda dress: dress.__name__)
@pytest.mark.usefixtures("small")
def test_the_parts_of_usual_logs_are_what_they_were_taken_for(dress, tmp_path):
    path = write(tmp_path / "log", dress([*BLOCK, "hello"] * 200))
    found, here = in_parts(path)
    assert found == one_process(path)
    assert here == [(0, False)]


@pytest.mark.usefixtures("small")
def test_a_part_that_was_something_else_is_read_again(tmp_path):
    odd = [f"web-7  | {line}" for line in BLOCK]
    path = write(tmp_path / "log", [*BLOCK * 60, *odd, *BLOCK * 60])
    found, here = in_parts(path)
    assert found == one_process(path)
    assert 1 < len(here) < 5
    assert not any(rest for _, rest in here)


@pytest.mark.usefixtures("small")
def test_wrapped_lines_are_read_by_one_process(tmp_path):
    wrapped = ['{"log": "WARNING: ThreadSanitizer: data race (pid=1)\\n", "container": "a"}']
    path = write(tmp_path / "log", [*BLOCK * 60, *wrapped, *BLOCK * 60])
    found, here = in_parts(path)
    assert found == one_process(path)
    assert here[-1][1] or len(here) == 2


@pytest.mark.usefixtures("small")
def test_a_process_that_dies_loses_nothing(tmp_path, monkeypatch):
    path = write(tmp_path / "log", [*BLOCK, "hello"] * 200)
    original = LogInParts.part

    def part(self, digest, start, stop):
        if start > 30_000:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, digest, start, stop)

    monkeypatch.setattr(LogInParts, "part", part)
    before = children()
    found, here = in_parts(path)
    assert found == one_process(path)
    assert 1 < len(here) <= 1 + parts.MAX_FAILURES
    assert children() <= before


@pytest.mark.usefixtures("small")
def test_a_process_that_cannot_be_started_is_not_needed(tmp_path, monkeypatch):
    path = write(tmp_path / "log", BLOCK * 100)

    def no_fork():
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_fork)
    assert in_parts(path)[0] == one_process(path)


@pytest.mark.usefixtures("small")
def test_a_line_that_is_longer_than_a_part_is_not_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MAX_LINE", 4000)
    path = write(tmp_path / "log", [*BLOCK * 30, "x" * 9000, *BLOCK * 30])
    assert in_parts(path) == (None, [])


@pytest.mark.usefixtures("small")
def test_overlong_lines_and_other_bytes_are_reported_alike(tmp_path, monkeypatch):
    for module in ("detect.lines", "detect.parts"):
        monkeypatch.setattr(f"python_tsan.{module}.MAX_LINE", 2000)
    path = write(tmp_path / "log", ["\ufeffhello\0", *BLOCK * 30, "x" * 2500, "\ufeff", "\udcff", *BLOCK * 30])
    found, _ = in_parts(path)
    assert found == one_process(path)
    assert found[1:] == (True, len(BLOCK) * 30 + 2)


def events(chance):
    return [chance.choice([None, None, *ODD, SUMMARY]) for _ in range(chance.randrange(12))]


def tally_of(lines):
    tally = Tally()
    for line in lines:
        tally.heading() if line is None else tally.line(line)
    return tally


@settings(deadline=None, max_examples=300 * SCALE)
@given(chance=CHANCE)
def test_tallies_add_up(chance):
    several = [events(chance) for _ in range(3)]
    total = tally_of([])
    for each in several:
        total.extend(tally_of(each))
    assert total == tally_of(itertools.chain(*several))


def test_numbers_of_open_blocks_do_not_matter_to_the_state():
    one, other, third = Splitter(), Splitter(), Splitter()
    for splitter, lines in ((one, BLOCK[:4]), (other, ["hello", *BLOCK[:4]]), (third, BLOCK[:5])):
        assert not list(splitter.split(lines, last=False))
    assert one.state == other.state != third.state
    assert [block.first_line for block in other.split([SUMMARY])] == [3]


def test_known_blocks_in_two_parts_are_sent_once():
    digest = Digest()
    digest.read(["\n".join(again_of(3))], "log")
    first = digest.take_part()
    digest.read(["\n".join(again_of(2))], "log")
    second = digest.take_part()
    assert [(len(lines), len(variants)) for _, lines, variants in (*first.groups, *second.groups)] == [(3, 1), (2, 0)]
    assert digest.take_part().groups == []


def test_of_many_findings_only_their_names_stay_known(monkeypatch):
    monkeypatch.setattr(digest_module, "MAX_FORMS", 2)
    digest = Digest()
    blocks = [[line.replace("f(int)", f"f{n}(int)") for line in BLOCK] for n in range(4)]
    digest.read(["\n".join(line for block in blocks for line in block)], "log")
    assert [len(variants) for _, _, variants in digest.take_part().groups] == [1] * 4
    assert not digest._known
    assert not digest._forms
    digest.read(["\n".join(blocks[2])], "log")
    assert [(len(lines), variants) for _, lines, variants in digest.take_part().groups] == [(1, {})]


def test_packed_findings_are_what_was_packed(monkeypatch):
    monkeypatch.setattr(digest_module, "PACKED", 2)
    blocks = [[line.replace("f(int)", f"f{n}(int)") for line in BLOCK] for n in range(5)]
    text = "\n".join(line for block in blocks for line in block)
    packed, plain = Digest(packs=True), Digest()
    packed.read([text], "log")
    plain.read([text], "log")
    assert [isinstance(group.first, Packed) for group in packed.groups.values()] == [True] * 4 + [False]
    assert [isinstance(group.first, Packed) for group in plain.groups.values()] == [False] * 5
    assert state(packed) == state(plain)


def again_of(times):
    return [line for _ in range(times) for line in again(random.Random(times), BLOCK)]  # noqa: S311 -- repeatable
