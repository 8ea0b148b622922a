"""How scores are added and shown; each gate of the page can turn red."""

import sys
from dataclasses import replace

import pytest

from python_tsan.imports.model.interpreter import identify
from tools.import_score import __main__ as command
from tools.import_score import kept
from tools.import_score.__main__ import main
from tools.import_score.kept import Kept
from tools.import_score.model import JudgedPair, Tree
from tools.import_score.page import add_up, page

HIT = JudgedPair(
    tree="shape/one",
    python="3.13.0",
    pair=("a", "b"),
    truth=frozenset({"error"}),
    predicted=frozenset({"error"}),
    confirmed=frozenset({"error"}),
    schedules=10,
)
HARMLESS = JudgedPair(tree="shape/two", python="3.13.0", pair=("a", "b"), schedules=5)
BROKEN = JudgedPair(tree="shape/three", python="3.13.0", pair=("a", "b"), broken="ImportError")


def test_pairs_are_added_up_and_broken_ones_left_out():
    score = add_up([HIT, HARMLESS, BROKEN])
    assert (score.pairs, score.schedules, score.hazards, score.predicted, score.outcomes) == (2, 15, 1, 1, 2)
    assert score.met


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(HIT, predicted=frozenset(), confirmed=frozenset()), "missed: `shape/one`"),
        (replace(HIT, truth=frozenset()), "predicted, and harmless: `shape/one`"),
    ],
)
def test_a_missed_hazard_and_a_false_one_turn_the_score_red(changed, words):
    assert not add_up([changed, HARMLESS]).met
    assert words in page([changed, HARMLESS], date="d", machine="m", trees=2)


def test_a_hazard_that_is_not_confirmed_is_reported_and_is_no_failure():
    unconfirmed = replace(HIT, confirmed=frozenset())
    assert add_up([unconfirmed, HIT]).met
    assert "did not confirm: `shape/one`" in page([unconfirmed], date="d", machine="m", trees=1)


def test_the_page_has_a_line_for_each_version_in_order():
    text = page([replace(HIT, python="3.13.0"), replace(HIT, python="3.9.18")], date="d", machine="m", trees=1)
    assert text.index("| 3.9.18 |") < text.index("| 3.13.0 |")
    assert "Nowhere." in text


def test_what_was_judged_is_kept_for_the_same_sources_only(tmp_path, monkeypatch):
    tree, python = Tree(name="shape/one", files={}), identify([sys.executable])
    Kept(tmp_path).put(tree, python, [HIT, BROKEN])
    assert Kept(tmp_path).get(tree, python) == [HIT, BROKEN]
    assert Kept(tmp_path).get(replace(tree, name="shape/two"), python) is None
    monkeypatch.setattr(kept, "state_of_sources", lambda: "another")
    assert Kept(tmp_path).get(tree, python) is None


def test_trees_that_could_not_be_compiled_are_named_with_their_versions():
    text = page([HIT, HARMLESS, replace(HIT, python="3.9.18")], date="d", machine="m", trees=2)
    assert "1 trees with a compiled extension are left out where there are no headers:\non 3.9.18." in text
    assert "no headers" not in page([HIT, HARMLESS], date="d", machine="m", trees=2)


def test_shapes_and_versions_have_one_row_each_with_its_shares():
    other = replace(HIT, tree="ring/one", python="3.9.18", truth=frozenset(), confirmed=frozenset())
    text = page([HIT, HARMLESS, other], date="d", machine="m", trees=3)
    assert "| ring | 1 | 0 | 1 | 1.000 | 0.000 |" in text
    assert "| shape | 2 | 1 | 1 | 1.000 | 1.000 |" in text
    assert "| 3.13.0 | 2 | 15 | 1 | 1 | 1.000 | 1.000 | 1 | 1.000 | 1.000 | 2 of 2 |" in text


def test_the_command_scores_chosen_trees_and_writes_the_page(tmp_path, capsys):
    page_file = tmp_path / "page.md"
    options = ["--python", sys.executable, "--only", "by_name/line_2", "--again"]
    assert main([*options, "--cache", str(tmp_path / "cache"), "--output", str(page_file)]) == 0
    assert "1 pair, 0 hazards, recall 1.000" in capsys.readouterr().out
    assert "1 package trees" in page_file.read_text(encoding="utf-8")
    assert not (tmp_path / "cache" / "import-scores").exists()


def test_the_command_warns_of_a_difference_and_exits_with_1(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "judge_all", lambda *_, **__: [replace(HIT, predicted=frozenset())])
    assert main(["--python", sys.executable, "--only", "by_name/line_2", "--cache", str(tmp_path)]) == 1
    assert "shape/one on 3.13.0: a against b: error happened, nothing was predicted" in capsys.readouterr().err
