"""The logs of the benchmark table are what their names say, and two checkouts are compared on the same one."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest

from python_tsan.tsan.parser import parse_log
from tools.bench import against, log_kinds
from tools.bench.against import MB, WORKLOADS, Cost, Watch, Workload, compare, judge, write_workload
from tools.bench.order import Order


def text(writer, pieces):
    return "".join(itertools.islice(writer(random.Random(1)), pieces))  # noqa: S311 -- a repeatable log


def workload(**changed):
    return Workload(**{"name": "some", "writer": log_kinds.short_blocks, "size": 5000, "ratio": 0.5, **changed})


@pytest.mark.parametrize("writer", dict.fromkeys(each.writer for each in WORKLOADS), ids=lambda writer: writer.__name__)
def test_every_log_is_understood_and_the_same_each_time(writer):
    pieces = 2000 if writer is log_kinds.interleaved else 40
    log = text(writer, pieces)
    assert log == text(writer, pieces)
    read = parse_log(log)
    assert len(read.findings) >= 39
    assert read.missing == 0
    own = 6 * 40 if writer is log_kinds.program_lines else 0
    assert read.unparsed == own
    assert all(each.accesses[0].stack.frames for each in read.findings)


def test_logs_differ_where_their_names_say():
    prefixes = {line[:9] for line in text(log_kinds.interleaved, 500).splitlines()}
    assert prefixes == {f"[rank {rank}] " for rank in range(8)} or prefixes == {f"[rank {rank}]" for rank in range(8)}
    assert all(
        re.match(r"2026-11-\d\dT\d\d:\d\d:\d\d\.\d{7}Z ", line) for line in text(log_kinds.time_prefix, 9).splitlines()
    )
    times = [line[:28] for line in text(log_kinds.time_prefix, 9).splitlines()]
    assert times == sorted(set(times))
    addresses = re.findall(r"<null> <null> \((0x\w+)\)", text(log_kinds.jit_frames, 9))
    assert len(set(addresses)) == len(addresses) > 9 * 4
    headings = re.findall(r"\(pid=(\d+)\)", text(log_kinds.long_blocks, 200))
    assert len(set(headings)) == 4
    assert len(parse_log(text(log_kinds.go_blocks, 3)).findings[0].threads) == 2


def test_a_log_of_distinct_findings_has_no_two_alike():
    summaries = [each.summary for each in parse_log(text(log_kinds.distinct, 500)).findings]
    assert len(set(summaries)) == 500


def test_a_log_is_as_large_as_requested(tmp_path):
    assert 5000 <= write_workload(tmp_path / "a", workload()) == (tmp_path / "a").stat().st_size < 6000
    large = workload(size=40 * MB)
    assert write_workload(tmp_path / "a", large, 0.001) < 45_000
    write_workload(tmp_path / "a", workload(size=0, blocks=2000), 0.01)
    assert (tmp_path / "a").read_text().count("SUMMARY") == 20


def test_what_a_row_may_cost():
    assert judge(workload(), 5000, Cost(seconds=10, memory=1), Cost(seconds=5, memory=250 * MB)).met
    assert not judge(workload(), 5000, Cost(seconds=10, memory=1), Cost(seconds=5.1, memory=1)).met
    assert not judge(workload(), 5000, Cost(seconds=10, memory=1), Cost(seconds=1, memory=251 * MB)).met
    page = workload(ratio=0, seconds=20, format="html")
    assert judge(page, 5000, None, Cost(seconds=20, memory=1)).met
    row = judge(page, 5000, None, Cost(seconds=21, memory=40 * MB, output=7 * MB))
    assert row.cells == ("some (0.01 MB, html)", "", "21.00 s", "40 MB, 7 MB", "20 s, 250 MB", "no")
    row = judge(
        workload(), 5000, Cost(seconds=10, memory=1, cpu=9), Cost(seconds=4, memory=40 * MB, cpu=6, output=7 * MB)
    )
    assert row.cells == ("some (0.01 MB, json)", "10.00 s", "4.00 s", "0.40, 0.67, 40 MB, 7 MB", "0.50, 250 MB", "yes")


def test_both_checkouts_read_a_log(tmp_path, monkeypatch):
    other = tmp_path / "other"
    (other / "python_tsan").mkdir(parents=True)
    (other / "python_tsan" / "__init__.py").touch()
    (other / "python_tsan" / "__main__.py").write_text("import sys; open('ran', 'a').write(sys.argv[2] + '\\n')")
    log = tmp_path / "log"
    write_workload(log, workload())
    monkeypatch.setattr(against, "SHORT_ROUNDS", 2)
    monkeypatch.setattr(against, "SHORT_SECONDS", 600)
    theirs, ours = compare(log, workload(), other, lambda _: None)
    assert (other / "ran").read_text() == f"{log}\n" * 2
    assert theirs.seconds < ours.seconds
    assert ours.memory > 10 * MB
    assert ours.output > 100
    assert compare(log, workload(ratio=0), other, lambda _: None)[0] is None


def test_memory_is_that_of_all_processes(monkeypatch):
    monkeypatch.setattr(against, "group_members", lambda _: (1, 2))
    monkeypatch.setattr(against, "_resident", lambda pid: pid * 1000)
    watch = Watch()
    watch.look()
    assert watch.peak == 0
    watch.start(7)
    assert watch.look() is False
    assert watch.peak == 3000


def test_a_process_that_has_ended_has_no_memory():
    assert against._resident(2**22 + 1) == 0


def test_only_the_chosen_logs_are_read(tmp_path, monkeypatch):
    read = []

    def costs(_log, one, other, _say):
        read.append((one.name, other))
        return Cost(seconds=1, memory=1), Cost(seconds=0.2, memory=1)

    monkeypatch.setattr(against, "compare", costs)
    pipeline = type("P", (), {"console": type("C", (), {"note": staticmethod(lambda _: None)})})
    order = Order(
        pipeline=pipeline, folder=tmp_path / "f", parts=(), again=False, events=0, against=Path("/there"),
        log=["prefix", "JIT"], scale=0.001,
    )  # fmt: skip
    (table,) = against.tables(order)
    assert read == [("time prefix", Path("/there")), ("frames of JIT code", Path("/there"))]
    assert [row[-1] for row in table.rows] == ["yes", "no"]
    assert table.missed
    assert list((tmp_path / "f").iterdir()) == []
