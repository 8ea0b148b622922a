from __future__ import annotations

import pytest

from python_tsan.detect.reading import read_logs
from tools.bench import logs
from tools.bench.logs import MIB, Read, Reader, complaints, measure_logs, rows, write_log


def reading(size, cpu_seconds, memory=10**8, reader=Reader.OURS):
    return Read(size=size, reader=reader, seconds=cpu_seconds, cpu_seconds=cpu_seconds, memory=memory)


def test_the_log_has_the_size_and_blocks_that_are_returned(tmp_path):
    blocks = write_log(tmp_path, MIB)
    digest = read_logs([str(tmp_path)]).digest
    assert digest.blocks == blocks
    assert digest.unparsed == digest.outside == 0
    assert len(list(tmp_path.iterdir())) == logs.PROCESSES
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert MIB <= size < 2.5 * MIB
    # 1 GiB holds 400,000 blocks.
    assert size / blocks == pytest.approx(1024 * MIB / 400_000, rel=0.05)
    assert 0.8 * logs.RACES < len(digest.groups) <= logs.RACES


def test_the_log_is_the_same_each_time(tmp_path):
    write_log(tmp_path / "a", 20_000)
    write_log(tmp_path / "b", 20_000)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_each_reader_reads_each_size(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "SIZES", (20_000,))
    monkeypatch.setattr(logs, "_codechecker", lambda _: None)
    said = []
    ours, grep, codechecker = measure_logs(tmp_path, said.append)
    assert ours.finds.endswith("findings in 512 blocks")
    assert grep.finds == "512 headings"
    assert codechecker.finds == "could not be installed"
    assert ours.size == grep.size > 20_000
    assert ours.cpu_seconds > 0
    assert said[0].startswith("writing")
    assert list(tmp_path.iterdir()) == []


def test_limits_are_held_against_ours_only():
    fine = [reading(10 * MIB, 0.4), reading(1024 * MIB, 17.0)]
    assert complaints(fine) == []
    assert complaints([reading(1024 * MIB, 99.0, reader=Reader.CODECHECKER)]) == []
    assert complaints([reading(MIB, 31.0)]) == ["31.0 s of CPU; at most 30 s"]
    assert complaints([reading(MIB, 1.0, memory=201 * 10**6)]) == ["201 MB of memory; at most 200 MB"]
    (bent,) = complaints([reading(10 * MIB, 0.1), reading(1024 * MIB, 25.0)])
    assert "not linear" in bent


def test_a_row_for_each_reading():
    (row,) = rows([reading(10 * MIB, 0.5)])
    assert len(row) == len(logs.COLUMNS)
    assert row[:6] == ["10 MiB", Reader.OURS.value, "0.50 s", "0.50 s", "100 MB", "20"]
