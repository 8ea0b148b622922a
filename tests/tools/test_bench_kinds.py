"""The table of benches: which option measures what, and how the verb shows and judges it."""

from types import SimpleNamespace

import pytest

from python_tsan.console import make_console
from tools.bench import __main__ as bench
from tools.bench import building, kinds
from tools.bench.__main__ import main
from tools.bench.kinds import KINDS
from tools.bench.model import Measurement, Part
from tools.bench.order import Order
from tools.bench.table import Row, Table, judged

GOOD = Table(title="good", columns=("a",), rows=[("1",)], kept_in="kept.json")
BAD = Table(title="bad", columns=("a",), rows=[("2",)], missed=True, complaints=("too slow",))


@pytest.fixture
def stand_in(monkeypatch):
    """Let every kind yield the given tables, and keep which was asked for, with its order."""
    asked = []

    def set_(*tables):
        def of(flag):
            def make(order):
                asked.append((flag, order))
                yield from tables

            return make

        monkeypatch.setattr(
            bench, "KINDS", [kinds.Kind(flag=kind.flag, summary="", tables=of(kind.flag)) for kind in KINDS]
        )
        monkeypatch.setattr(bench, "DEFAULT", of(""))
        return asked

    return set_


@pytest.mark.parametrize("flag", ["", *(kind.flag for kind in KINDS)])
def test_each_option_asks_for_its_bench(flag, stand_in, tmp_path):
    asked = stand_in(GOOD)
    assert main([*([flag] if flag else []), "--folder", str(tmp_path), "--only", "cold", "--events", "7"]) == 0
    ((name, order),) = asked
    assert name == flag
    assert (order.folder, order.parts, order.again, order.events) == (tmp_path, [Part.COLD], False, 7)


def test_no_two_benches_share_an_option_or_a_measurement():
    assert len({kind.flag for kind in KINDS}) == len(KINDS)
    assert len({kinds.DEFAULT, *(kind.tables for kind in KINDS)}) == len(KINDS) + 1


def test_one_bench_at_a_time(stand_in, capsys):
    asked = stand_in(GOOD)
    with pytest.raises(SystemExit, match="2"):
        main(["--logs", "--gil"])
    assert "not allowed with" in capsys.readouterr().err
    assert asked == []


def test_a_limit_that_is_not_kept_is_a_finding_and_all_tables_are_shown(stand_in, capsys):
    stand_in(BAD, GOOD)
    assert main(["--gil"]) == 1
    told = capsys.readouterr()
    assert told.err == "warning: too slow\n"
    lines = [line.strip() for line in told.out.splitlines()]
    assert lines == ["bad", "a", "-", "2", "", "good", "a", "-", "1", "kept.json"]


def test_rows_judge_themselves():
    rows = [Row(what="free", measured="1 s"), Row(what="met", measured="1 s", limit="2 s", met=True)]
    assert not judged("x", "abcdef", rows).missed
    table = judged("x", "abcdef", iter([*rows, Row(what="slow", measured="3 s", limit="2 s", met=False)]))
    assert table.missed
    assert [row[-1] for row in table.rows] == ["", "yes", "no"]


def test_the_building_is_taken_up_where_it_was_left(tmp_path, monkeypatch):
    made = []

    def measure(part, _bench):
        made.append(part)
        return Measurement(part=part, seconds=100.0 if part is Part.RECIPE else 30.0)

    monkeypatch.setattr(building, "measure", measure)
    monkeypatch.setattr(building, "_prepare", lambda _pipeline, _folder: (None, "key"))
    pipeline = SimpleNamespace(console=make_console(quiet=True))

    def table(*parts, again=False):
        (made_,) = building.tables(
            Order(pipeline=pipeline, folder=tmp_path / "bench", parts=parts, again=again, events=0)
        )
        return made_

    assert not table(Part.RECIPE).missed
    assert table(Part.RECIPE, Part.COLD).missed  # 0.30 of the recipe; at most 0.24
    assert made == [Part.RECIPE, Part.COLD]
    again = table(Part.COLD, again=True)
    assert made == [Part.RECIPE, Part.COLD, Part.COLD]
    assert again.title.startswith("key on ")
    assert again.kept_in == str(tmp_path / "bench" / "bench.json")
