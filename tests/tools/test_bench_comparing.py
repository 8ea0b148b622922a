from dataclasses import replace

import pytest

from python_tsan.cli.compare import comparison_of
from python_tsan.comparison.model import Axis, Seen
from python_tsan.result.codec import decode_result, encode_result
from tools.bench import comparing

ONE = comparing.Compared(runs=2, size=2_000_000, seconds=0.5, cpu_seconds=0.4, memory=50_000_000)


def test_the_runs_are_runs_and_differ_where_they_should(tmp_path):
    for number in range(3):
        run = comparing.make_run(number, tmp_path)
        assert decode_result(encode_result(run)) == run
        (tmp_path / run.id).mkdir()
        (tmp_path / run.id / "run.json").write_bytes(encode_result(run))
    made = comparison_of([str(tmp_path)])
    assert {change.axis for change in made.changes} == {Axis.THREADING}
    assert {change.after for change in made.changes} == {Seen.RACE}
    assert len(made.differing) == sum(check % 10 == 1 and check % 3 != 0 for check in range(comparing.CHECKS))


def test_a_comparison_is_measured_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(comparing, "MANY", 3)
    monkeypatch.setattr(comparing, "CHECKS", 3)
    few, many = comparing.measure_comparisons(tmp_path, lambda _: None)
    assert (few.runs, many.runs) == (2, 3)
    assert many.size > few.size > 0
    assert few.cpu_seconds > 0
    assert list(tmp_path.iterdir()) == []
    assert [row[0] for row in comparing.rows([few, many])] == ["2", "3"]


@pytest.mark.parametrize(("seconds", "complaints"), [(1.9, []), (2.5, ["2.5 s of CPU for 50 runs; at most 2 s"])])
def test_what_is_too_slow_is_reported(seconds, complaints):
    assert comparing.complaints([ONE, replace(ONE, runs=50, cpu_seconds=seconds)]) == complaints
