"""The bench of a cluster: it starts one, ends it, and judges throughput and memory."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from python_tsan.console import make_console
from python_tsan.errors import SubjectError
from python_tsan.paths import Layout
from python_tsan.toolchain import choose_toolchain
from tools.bench import cluster

MB = 10**6


@pytest.mark.parametrize(
    ("samples", "cells"),
    [
        ([50, 100, 100, 100, 105, 100, 100, 105], ("100 MB", "105 MB", "1.05 x", "1.1 x", "yes")),
        ([100, 100, 100, 100, 150, 150, 111, 100], ("100 MB", "111 MB", "1.11 x", "1.1 x", "no")),
        ([10, 90, 90, 90, 100, 100, 80, 80], ("90 MB", "80 MB", "0.89 x", "1.1 x", "yes")),
        ([70], ("70 MB", "70 MB", "1.00 x", "1.1 x", "yes")),
    ],
)
def test_growth_is_that_from_the_second_quarter_to_the_last(samples, cells):
    assert cluster.growth_row("client", [each * MB for each in samples]).cells == ("client", *cells)


def test_samples_are_taken_until_the_end_of_the_block(monkeypatch):
    monkeypatch.setattr(cluster, "SAMPLE_SECONDS", 0.01)
    samples = cluster.Samples({"here": os.getpid(), "gone": 2**22 + 1})
    with samples.taken():
        while len(samples.bytes.get("here", ())) < 3:
            pass
    number = len(samples.bytes["here"])
    assert min(samples.bytes["here"]) > MB
    assert "gone" not in samples.bytes
    assert len(samples.bytes["here"]) == number


def test_a_cluster_that_does_not_start_is_one_line_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "START_SECONDS", 0.2)
    with pytest.raises(SubjectError, match="no cluster could be started"):
        cluster._address(tmp_path / "no.json", 1)


@pytest.mark.compiler
def test_both_ways_are_measured_and_every_process_is_ended(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    for name, value in {"RUNS": 4, "LONG_RUNS": 8, "ROUNDS": 1, "SAMPLE_SECONDS": 0.01}.items():
        monkeypatch.setattr(cluster, name, value)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cluster.tempfile, "tempdir", str(tmp_path))
    toolchain = choose_toolchain(None, layout=Layout(root=tmp_path / "cache"), console=make_console(quiet=True))
    order = SimpleNamespace(pipeline=SimpleNamespace(toolchain=toolchain), say=lambda _text: None)
    throughput, memory = cluster.tables(order)
    ((what, _, _, ratio, *_),) = throughput.rows
    assert what == "4 runs, 2 processes, median of 1"
    assert float(ratio) > 0
    assert [row[0] for row in memory.rows] == ["scheduler", "worker 1", "worker 2", "client"]
    left = [file for file in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(file)]
    assert [file for file in left if file.parent.name != str(os.getpid())] == []


def _read(file):
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_what_fails_is_no_measurement(tmp_path):
    with pytest.raises(SubjectError, match="a measured run failed: it broke"):
        cluster._timed([[sys.executable, "-c", "raise SystemExit('it broke')"]], tmp_path)
