import os
from itertools import cycle
from pathlib import Path

import pytest

from python_tsan import process
from python_tsan.gil.timeline import import_spans
from python_tsan.process import Completed
from tools.bench.gil import LOOP, GilBench
from tools.bench.gil_timeline import long_trace, timeline_row


@pytest.fixture
def lane_setup(tracer, stock_python):
    def make(**changes):
        values = {"python": Path(stock_python), "library": tracer, "env": dict(os.environ), "ratio": 1.15, "repeats": 3}
        return GilBench(**{**values, **changes})

    return make


@pytest.fixture
def answers(monkeypatch):
    """Replace the processes: how long each run took, in seconds, and what it printed."""

    def set_(plain, traced, *, ok=True, text=""):
        plain, traced = cycle(plain), cycle(traced)

        def run(command, *, env, **_):
            seconds = next(traced if "LD_PRELOAD" in env else plain)
            return Completed(
                command=tuple(command),
                exit_code=0 if ok else 1,
                timed_out=False,
                seconds=seconds,
                cpu_seconds=seconds / 2,
                max_rss_bytes=1 << 20,
                stdout=text.format(seconds),
            )

        monkeypatch.setattr(process, "run", run)

    return set_


@pytest.fixture
def bench(tmp_path):
    return GilBench(python=tmp_path, library=tmp_path, env={}, ratio=1.15, repeats=3)


def test_the_import_is_judged_by_the_median_of_the_pairs(bench, answers):
    answers([9.0, 2.0, 1.0, 3.0], [2.2, 1.0, 9.0])
    row = bench.import_row()
    assert row.cells[1:] == ("1.000 s", "1.100 s", "1.100 x processor, 1.100 x wall", "1.15 x", "yes")


def test_which_run_of_a_pair_comes_first_alternates(bench, monkeypatch):
    order = []

    def run(command, *, env, **_):
        order.append("LD_PRELOAD" in env)
        return Completed(
            command=tuple(command), exit_code=0, timed_out=False, seconds=1, cpu_seconds=1, max_rss_bytes=1
        )

    monkeypatch.setattr(process, "run", run)
    bench.import_row()
    assert order == [False, True, False, False, True, True, False]


def test_the_timeline_is_measured_with_the_same_trace_each_time():
    one, other = long_trace(500), long_trace(500)
    assert one == other
    assert len(one.processes[0].events) == 500
    assert {len(spans) for spans in [import_spans(one.processes[0])]} != {0}
    assert [event.time for event in one.processes[0].events] == sorted(event.time for event in one.processes[0].events)


def test_without_a_browser_the_timeline_is_not_judged(tmp_path):
    row = timeline_row({"PATH": str(tmp_path)}, events=10)
    assert row.met is None
    assert "not installed" in row.measured


def test_an_import_that_costs_too_much_is_not_met(bench, answers):
    answers([1.0], [1.2])
    assert bench.import_row().met is False


def test_a_program_that_fails_gives_no_figure(bench, answers):
    answers([1.0], [1.0], ok=False)
    row = bench.import_row()
    assert (row.before, row.cells[-1]) == ("failed", "")


@pytest.mark.parametrize(("traced", "verdict"), [(900.0, "yes"), (1500.0, "no")])
def test_a_release_may_cost_a_microsecond(bench, answers, traced, verdict):
    answers([100.0], [traced], text="nanoseconds {}\n")
    row = bench.loop_row()
    assert row.cost == f"{traced - 100:.0f} ns more"
    assert row.cells[-1] == verdict


@pytest.mark.compiler
def test_the_memory_is_measured_on_a_real_run(lane_setup):
    row = lane_setup().memory_row(5000)
    assert "5,000 releases: 5," in row.what
    assert row.what.endswith("0 dropped")
    assert row.met


def test_the_loop_is_a_program():
    compile(LOOP, "loop", "exec")
