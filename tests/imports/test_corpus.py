"""The corpus as a gate: on this interpreter, what is predicted of a bounded part of it is what really happens.

`nox -s import_score` does the whole corpus on every interpreter and writes docs/import-scores.md.
"""

import sys

import pytest
from corpus.trees import corpus
from lazy_python import LAZY, needs_lazy

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
# The same for lazy imports, on a Python that has them.
LAZY_GATE = (
    "pep810/cycle_lazy_late_normal",
    "pep810/cycle_lazy_early_normal",
    "pep810/cycle_in_with_late_all",
    "pep810/cycle_in_try_late_all",
    "pep810/user_attribute",
    "pep810/user_from_inside",
    "pep810/user_from_lazily",
    "pep810/user_annotation",
    "pep810/create_ring",
    "pep810/create_line",
    "pep810/place_shadowed_in_comprehension_late",
    "pep810/place_own_capture_late",
    "pep810/place_chain_late",
    "pep810/place_hook_late",
)


def test_the_corpus_is_large_and_is_the_same_each_time():
    assert len(TREES) == len(corpus()) >= 80
    assert all(tree.files == TREES[tree.name].files for tree in corpus())
    assert {*GATE, *LAZY_GATE} <= TREES.keys()
    assert sum(tree.since >= (3, 15) for tree in TREES.values()) >= 110
    assert max(len(tree.files) for tree in TREES.values()) >= 500


@pytest.mark.slow
@pytest.mark.parametrize("name", GATE)
def test_what_is_predicted_is_what_happens(name, tmp_path):
    if reason := why_not_compiled(TREES[name], HERE):
        pytest.skip(reason)
    judge(name, HERE, tmp_path)


@needs_lazy
@pytest.mark.slow
@pytest.mark.parametrize("name", LAZY_GATE)
def test_what_is_predicted_of_lazy_imports_is_what_happens(name, tmp_path):
    judge(name, LAZY, tmp_path)


@needs_lazy
@pytest.mark.slow
def test_the_gate_sees_harm_and_harmlessness_of_lazy_imports(tmp_path):
    seen = [judge(name, LAZY, tmp_path / name)[0] for name in LAZY_GATE[:2]]
    assert [bool(each.truth) for each in seen] == [True, False]


def judge(name, python, folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_tree(TREES[name], folder, python)
    judged = list(judge_tree(TREES[name], python, folder, runs=1))
    assert [each.broken for each in judged] == [""] * len(TREES[name].pairs)
    assert all(each.schedules > 0 or TREES[name].main for each in judged)
    for each in judged:
        assert bool(each.predicted) == bool(each.truth), each
        assert bool(each.confirmed) == bool(each.truth), each
    return judged


@pytest.mark.slow
def test_the_gate_sees_harm_and_harmlessness(tmp_path):
    seen = set()
    for name in ("gate/closed", "gate/both_go_round"):
        write_tree(TREES[name], tmp_path / name, HERE)
        seen |= {bool(each.truth) for each in judge_tree(TREES[name], HERE, tmp_path / name, runs=0)}
    assert seen == ({True, False} if HERE.version < (3, 15) else {False})
