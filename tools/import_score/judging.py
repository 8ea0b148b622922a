"""Compare what is predicted with what happens, for each pair of entries of a package tree on an interpreter."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan.imports.confirm import Answer, prove
from python_tsan.imports.model.building import model_of
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.search.prediction import predict
from python_tsan.process import run
from tools.import_score.extensions import compile_extension, why_not_compiled
from tools.import_score.model import JudgedPair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.imports.model.interpreter import Python
    from tools.import_score.kept import Kept
    from tools.import_score.model import Tree

CORPUS = Path(__file__).parents[2] / "tests" / "imports" / "corpus"
DRIVER_SECONDS = 600.0


def write_tree(tree: Tree, folder: Path, python: Python) -> None:
    """Write a tree's files, and compile its extensions for an interpreter."""
    for path, text in tree.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        if path.endswith(".c"):
            compile_extension(target, python)


def _truth_of(tree: Tree, python: Python, folder: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return what the driver saw of each pair, in both orders, by pair."""
    pairs = [order for pair in tree.pairs for order in (pair, pair[::-1])]
    plan = {"main": tree.main, "pairs": pairs, "most": tree.most, "recursion": tree.recursion, "lazy": tree.lazy}
    command = [*python.command, "-B", str(CORPUS / "driver.py"), str(folder), json.dumps(plan)]
    ended = run(command, timeout=DRIVER_SECONDS)
    try:
        seen = json.loads(ended.stdout)
    except ValueError as error:
        raise RuntimeError(f"{tree.name} on {python.text}: {ended.stderr[-600:]}") from error
    return {pair: seen[2 * place : 2 * place + 2] for place, pair in enumerate(tree.pairs)}


def judge_tree(tree: Tree, python: Python, folder: Path, *, runs: int) -> Iterator[JudgedPair]:
    """Judge every pair of a tree that is written in ``folder``."""
    probe = Probe(python=python, path=(folder,), patience=60.0, lazy=tree.lazy)
    truth = _truth_of(tree, python, folder)
    entries = tuple(dict.fromkeys(entry for pair in tree.pairs for entry in pair))
    modelled = model_of(probe, entries, main=tree.main, jobs=1)
    for pair, orders in truth.items():
        reasons = [order["broken"] for order in orders] + [modelled.problems.get(entry, "") for entry in pair]
        if broken := next(filter(None, reasons), ""):
            yield JudgedPair(tree=tree.name, python=python.text, pair=pair, broken=broken)
            continue
        hazards = list(predict(modelled.model, pair))
        proofs = [prove(probe, hazard, runs, tree.main) for hazard in hazards] if runs else []
        outcomes = {outcome for order in orders for outcome in order["seen"]}
        yield JudgedPair(
            tree=tree.name,
            python=python.text,
            pair=pair,
            truth=frozenset(outcomes - {"ok"}),
            predicted=frozenset(hazard.outcome.value for hazard in hazards),
            confirmed=frozenset(
                proof.outcome.value for proof in proofs if proof.answer is Answer.CONFIRMED and proof.outcome
            ),
            schedules=sum(count for order in orders for count in order["seen"].values()),
        )


def judge_all(
    trees: Sequence[Tree], pythons: Sequence[Python], folder: Path, *, runs: int, jobs: int, kept: Kept
) -> Iterator[JudgedPair]:
    """Judge every tree on every interpreter, except those that ``kept`` has and those that cannot be compiled."""

    def judge(tree: Tree, python: Python) -> list[JudgedPair]:
        judged = kept.get(tree, python)
        if judged is None:
            home = folder / f"{python.text}-{tree.name}"
            write_tree(tree, home, python)
            judged = list(judge_tree(tree, python, home, runs=runs))
            kept.put(tree, python, judged)
        return judged

    usable = [
        (tree, python)
        for python in pythons
        for tree in trees
        if python.version >= tree.since and not why_not_compiled(tree, python)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        for judged in pool.map(judge, *zip(*usable, strict=True)) if usable else ():
            yield from judged
