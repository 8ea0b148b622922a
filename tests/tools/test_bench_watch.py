"""The measurement of what the watch costs: it runs both kinds, and it can fail."""

from tools.bench import watch
from tools.bench.__main__ import main


def test_each_program_is_run_without_and_with_the_watch(monkeypatch):
    seen = []
    real = watch.process.run

    def run(command, *, env, timeout):
        seen.append(
            "import_cases.watch"
            in real([*command[:2], "import sys; print(*sys.modules)"], env=env, timeout=timeout).stdout
        )
        return real([*command[:2], "pass"], env=env, timeout=timeout)

    monkeypatch.setattr(watch.process, "run", run)
    row, *_ = watch.rows(repeats=2)
    assert seen[:6] == [False, True] * 3
    assert row.cost.endswith(" x)")


def test_a_cost_beyond_the_limit_and_a_failing_program_are_not_met(monkeypatch, capsys):
    monkeypatch.setattr(watch, "REPEATS", 1)
    monkeypatch.setattr(watch, "PROGRAMS", (("slow", "pass", 0.0001), ("broken", "raise SystemExit(3)", 9.0)))
    assert [row.met for row in watch.rows(repeats=1)] == [False, False]
    assert main(["--watch"]) == 1
    told = capsys.readouterr().out
    assert "broken" in told
    assert "failed" in told
