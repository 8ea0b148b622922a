"""The measurement of what checks of the C API cost: its programs run both ways, and a limit can be missed."""

import stat

import pytest

from tools.bench import capi_calls

PLAIN, RECORDED = {"PATH": "/bin:/usr/bin"}, {"PATH": "/bin:/usr/bin", "SLOW": "1"}


@pytest.fixture
def program(tmp_path):
    """A program that prints the nanoseconds of a call, by its environment."""
    script = tmp_path / "program"
    script.write_text('#!/bin/sh\nif [ "$SLOW" ]; then echo "$FIGURE"; else echo 2.5; fi\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.mark.parametrize(("figure", "met"), [("27.5", True), ("27.6", False), ("2.0", True)])
def test_a_call_may_cost_so_much_more(program, figure, met):
    row = capi_calls.call_row("PyList_Size", program, (PLAIN, {**RECORDED, "FIGURE": figure}), repeats=2)
    assert (row.before, row.measured, row.met) == ("2.5 ns", f"{float(figure):.1f} ns", met)


def test_the_start_of_a_program_is_measured_by_its_processor_time(program, monkeypatch):
    times = iter([0.010, 0.071, 0.012, 0.065])
    real = capi_calls.process.run
    monkeypatch.setattr(capi_calls.process, "run", lambda *args, **named: _with(real(*args, **named), next(times)))
    row = capi_calls.start_row(program, (PLAIN, RECORDED), repeats=2)
    assert (row.before, row.measured, row.cost, row.met) == ("10.0 ms", "65.0 ms", "55.0 ms more", False)


def _with(ended, seconds):
    return capi_calls.process.Completed(
        command=ended.command,
        exit_code=0,
        timed_out=False,
        seconds=seconds,
        cpu_seconds=seconds,
        max_rss_bytes=0,
        stdout="",
    )
