"""The measurement of what the lock recorder costs: it runs both kinds, and it can fail."""

import sys
from pathlib import Path

from tools.bench import lock_recorder, watch


def test_each_program_is_run_without_and_with_the_recorder(monkeypatch, tmp_path):
    seen = []
    real = watch.process.run

    def run(command, *, env, timeout):
        seen.append(("PYTHON_TSAN_LOCKS" in env, "recorder.so" in env.get("LD_PRELOAD", "")))
        return real([*command[:2], "pass"], env={**env, "LD_PRELOAD": ""}, timeout=timeout)

    monkeypatch.setattr(watch.process, "run", run)
    row, *_ = lock_recorder.rows(Path(sys.executable), library=tmp_path / "recorder.so", repeats=2)
    assert seen[:6] == [(False, False), (True, True)] * 3
    assert row.cost.endswith(" x)")


def test_a_cost_beyond_the_limit_is_not_met(monkeypatch, tmp_path):
    monkeypatch.setattr(lock_recorder, "PROGRAMS", (("slow", "pass", 0.0001),))
    monkeypatch.setattr(lock_recorder, "preloading", lambda _libraries, _env: {})
    (row,) = lock_recorder.rows(Path(sys.executable), library=tmp_path / "recorder.so", repeats=1)
    assert row.met is False


def test_the_search_is_measured_and_has_a_limit(monkeypatch):
    assert lock_recorder.search_row(orders=50, repeats=1).met is True
    monkeypatch.setattr(lock_recorder, "MOST_SECONDS", 0.0)
    assert lock_recorder.search_row(orders=50, repeats=1).met is False
