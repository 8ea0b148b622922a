"""The corpus as a gate: on this interpreter, what is predicted of a bounded part of it is what really happens.

`nox -s import_score` does the whole corpus on every interpreter and writes docs/import-scores.md.
"""

import sys

import pytest
from corpus.trees import corpus

from python_tsan.imports.model.interpreter import identify
from tools.import_score.extensions import why_not_compiled
from tools.import_score.judging import judge_tree, write_tree

HERE = identify([sys.executable])
TREES = {tree.name: tree for tree in corpus()}
# One of each shape and its harmless twin, the small ones.
GATE = (
    "barrel/from_dot_2",
    "barrel/empty",
    "barrel/pre_imported",
    "nested/top_takes_deepest",
    "nested/all_empty",
    "lazy/by_attribute",
    "lazy/called_harmless",
    "function/against_entry",
    "function/harmless",
    "by_name/ring_2",
    "by_name/line_2",
    "by_name/neither",
    "namespace/ring",
    "namespace/line",
    "condition/never",
    "try/fallback",
    "try/absent",
    "create/ring",
    "create/line",
    "finder/imports",
    "finder/pre_imported",
    "extension/single_ring",
    "extension/single_line",
    "extension/multi_barrel",
    "extension/multi_empty_package",
    "switch/environment_taken",
    "switch/environment_never",
    "gate/closed",
    "gate/parent_first",
    "gate/one_goes_round",
    "chain/line_10",
    "chain/ring_10",
)


def test_the_corpus_is_large_and_is_the_same_each_time():
    assert len(TREES) == len(corpus()) >= 80
    assert all(tree.files == TREES[tree.name].files for tree in corpus())
    assert set(GATE) <= TREES.keys()
    assert max(len(tree.files) for tree in TREES.values()) >= 500


@pytest.mark.slow
@pytest.mark.parametrize("name", GATE)
def test_what_is_predicted_is_what_happens(name, tmp_path):
    if reason := why_not_compiled(TREES[name], HERE):
        pytest.skip(reason)
    write_tree(TREES[name], tmp_path, HERE)
    judged = list(judge_tree(TREES[name], HERE, tmp_path, runs=1))
    assert [each.broken for each in judged] == [""] * len(TREES[name].pairs)
    assert all(each.schedules > 0 or TREES[name].main for each in judged)
    for each in judged:
        assert bool(each.predicted) == bool(each.truth), each
        assert bool(each.confirmed) == bool(each.truth), each


@pytest.mark.slow
def test_the_gate_sees_harm_and_harmlessness(tmp_path):
    seen = set()
    for name in ("gate/closed", "gate/both_go_round"):
        write_tree(TREES[name], tmp_path / name, HERE)
        seen |= {bool(each.truth) for each in judge_tree(TREES[name], HERE, tmp_path / name, runs=0)}
    assert seen == ({True, False} if HERE.version < (3, 15) else {False})
