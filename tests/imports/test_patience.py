"""How long an import may take: processor time counts, so that a busy machine ends nothing early."""

import os
import sys
import time

import pytest

from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Patience, Probe, TraceEndedError
from python_tsan.process import group_cpu_seconds

HERE = identify([sys.executable])
WORK = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end:\n    pass\n"
BUSY = "import time\nwhile time.process_time() < {}:\n    pass\n"


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return what sets the clock, the time used and the output, and says whether a watch of two seconds is over."""
    lines = tmp_path / "out"
    lines.touch()
    state = {"now": 0.0, "used": 0.0}
    monkeypatch.setattr("python_tsan.imports.model.probe.group_cpu_seconds", lambda _: state["used"])
    patience = Patience(seconds=2.0, lines=lines, now=lambda: state["now"])
    patience.begin(1)

    def at(now, used, text=""):
        state.update(now=now, used=used)
        with lines.open("a") as file:
            file.write(text)
        return patience.is_over()

    return at


def test_a_slow_machine_ends_nothing(watched):
    at = watched
    assert not any(at(second, second * 0.01) for second in range(100))


def test_processor_time_beyond_the_limit_ends_a_process_at_work(watched):
    at = watched
    assert not at(1.0, 1.0)
    assert not at(2.0, 2.0)
    assert at(2.5, 2.1)


def test_each_line_of_output_restarts_the_time(watched):
    at = watched
    assert not at(1.0, 1.9)
    assert not at(2.0, 1.9, "finished\n")
    assert not at(3.0, 3.8)
    assert at(4.0, 4.0)


def test_a_process_that_waits_is_ended_when_nothing_moves(watched):
    at = watched
    assert not at(0.5, 0.3)
    assert not at(2.4, 0.3)
    assert at(2.6, 0.3)


def test_the_time_of_this_process_group_is_more_than_nothing():
    before = group_cpu_seconds(os.getpgrp())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert group_cpu_seconds(os.getpgrp()) > before > 0
    assert group_cpu_seconds(2**22 + 1) == 0


def test_an_import_that_works_too_long_is_ended(tmp_path):
    (tmp_path / "busy.py").write_text(BUSY.format(60))
    with pytest.raises(TraceEndedError, match=r"the trace of busy did not end within 0\.5 s") as caught:
        Probe(python=HERE, path=(tmp_path,), patience=0.5).trace(["busy"])
    assert caught.value.entry == "busy"


def test_an_import_that_sleeps_too_long_is_ended(tmp_path):
    (tmp_path / "idle.py").write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(TraceEndedError):
        Probe(python=HERE, path=(tmp_path,), patience=0.5).trace(["idle"])


def test_the_time_begins_again_with_each_module_that_is_compiled(tmp_path):
    """With cold byte-code, compiling takes longer than the import itself."""
    (tmp_path / "many.py").write_text("".join(f"import part{number}\n" for number in range(6)))
    for number in range(6):
        (tmp_path / f"part{number}.py").write_text(
            "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\n"
        )
    probe = Probe(python=HERE, path=(tmp_path,), patience=1.6, bytecode=tmp_path / "bytecode")
    assert set(probe.trace(["many"])["modules"]) == {"many", *(f"part{number}" for number in range(6))}
    # The byte-code is there now, and all of the import is its own.
    with pytest.raises(TraceEndedError):
        probe.trace(["many"])
