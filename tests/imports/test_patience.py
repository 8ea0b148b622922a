"""How long an import may take: processor time counts, so that a busy machine ends nothing early."""

import os
import sys
import time

import pytest

from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.patience import Patience, processor_seconds
from python_tsan.imports.model.probe import Probe, TraceEndedError
from python_tsan.imports.model.tracing import trace_entries

HERE = identify([sys.executable])
BUSY = "import time\nwhile time.process_time() < {}:\n    pass\n"


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return a watch of two seconds, and a function that sets the clock, the time used and the output."""
    lines = tmp_path / "out"
    lines.touch()
    state = {"now": 0.0, "used": 0.0}
    monkeypatch.setattr("python_tsan.imports.model.patience.processor_seconds", lambda _: state["used"])
    patience = Patience(seconds=2.0, lines=lines, now=lambda: state["now"])
    patience.begin(1)

    def at(now, used, text=""):
        state.update(now=now, used=used)
        with lines.open("a") as file:
            file.write(text)
        return patience.is_over()

    return patience, at


def test_a_slow_machine_ends_nothing(watched):
    patience, at = watched
    assert not any(at(second, second * 0.01) for second in range(100))
    assert not patience.busy


def test_processor_time_beyond_the_limit_ends_a_process_at_work(watched):
    patience, at = watched
    assert not at(1.0, 1.0)
    assert not at(2.0, 2.0)
    assert at(2.5, 2.1)
    assert patience.busy


def test_each_line_of_output_restarts_the_time(watched):
    _, at = watched
    assert not at(1.0, 1.9)
    assert not at(2.0, 1.9, "finished\n")
    assert not at(3.0, 3.8)
    assert at(4.0, 4.0)


def test_a_process_that_waits_is_ended_when_nothing_moves(watched):
    patience, at = watched
    assert not at(0.5, 0.3)
    assert not at(2.4, 0.3)
    assert at(2.6, 0.3)
    assert not patience.busy


def test_the_time_of_this_process_group_is_more_than_nothing():
    before = processor_seconds(os.getpgrp())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert processor_seconds(os.getpgrp()) > before > 0
    assert processor_seconds(2**22 + 1) == 0


def test_an_import_that_works_too_long_is_ended_at_work(tmp_path):
    (tmp_path / "busy.py").write_text(BUSY.format(60))
    with pytest.raises(TraceEndedError, match=r"the trace of busy did not end within 0\.5 s") as caught:
        Probe(python=HERE, path=(tmp_path,), patience=0.5).trace(["busy"])
    assert caught.value.busy
    assert caught.value.entry == "busy"


def test_an_import_that_sleeps_too_long_is_not_at_work(tmp_path):
    (tmp_path / "idle.py").write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(TraceEndedError) as caught:
        Probe(python=HERE, path=(tmp_path,), patience=0.5).trace(["idle"])
    assert not caught.value.busy


@pytest.mark.parametrize(("with_bytecode", "traces"), [(True, 2), (False, 1)])
def test_an_import_that_was_ended_at_work_is_tried_once_more_with_warm_bytecode(
    with_bytecode, traces, tmp_path, monkeypatch
):
    made = []

    def trace(_, entries, **__):
        made.append(entries)
        raise TraceEndedError("slow", "the trace of slow did not end within 1 s", busy=True)

    monkeypatch.setattr(Probe, "trace", trace)
    probe = Probe(python=HERE, bytecode=tmp_path if with_bytecode else None)
    assert trace_entries(probe, ["slow"], jobs=1).problems == {"slow": "the trace of slow did not end within 1 s"}
    assert len(made) == traces
