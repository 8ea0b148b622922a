"""Compare what is predicted with what happens, on many interpreters: precision, recall, and each tree that differs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from python_tsan.imports.confirm.proof import Answer, prove
from python_tsan.imports.model.building import model_of
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.search.prediction import predict
from python_tsan.process import run

from .extensions import compile_extension, why_not

DRIVER = Path(__file__).with_name("driver.py")
DRIVER_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One pair of entries of one tree on one interpreter. ``truth`` and the rest are outcomes other than ``ok``.

    ``broken`` is why the pair says nothing: its entries fail in one thread.
    """

    tree: str
    python: str
    pair: tuple[str, str]
    broken: str = ""
    truth: frozenset[str] = frozenset()
    predicted: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    schedules: int = 0


def write(tree, folder, python):
    """Write a tree's files, and compile its extensions for an interpreter."""
    for path, text in tree.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        if path.endswith(".c"):
            compile_extension(target, python)


def truth_of(tree, python, folder):
    """Return what the driver saw of each pair, in both orders, by pair."""
    pairs = [order for pair in tree.pairs for order in (pair, pair[::-1])]
    plan = {"main": tree.main, "pairs": pairs, "most": tree.most, "recursion": tree.recursion}
    ended = run([*python.command, "-B", str(DRIVER), str(folder), json.dumps(plan)], timeout=DRIVER_SECONDS)
    try:
        told = json.loads(ended.stdout)
    except ValueError as error:
        raise RuntimeError(f"{tree.name} on {python.text}: {ended.stderr[-600:]}") from error
    return {pair: told[2 * place : 2 * place + 2] for place, pair in enumerate(tree.pairs)}


def judge(tree, python, folder, *, runs):
    """Judge every pair of a tree that is written in ``folder``."""
    probe = Probe(python=python, path=(folder,), patience=60.0)
    truth = truth_of(tree, python, folder)
    entries = tuple(dict.fromkeys(entry for pair in tree.pairs for entry in pair))
    modelled = model_of(probe, entries, main=tree.main, jobs=1)
    model, problems = modelled.model, modelled.problems
    for pair, (there, back) in truth.items():
        broken = there["broken"] or back["broken"] or next((problems[entry] for entry in pair if entry in problems), "")
        if broken:
            yield Judged(tree=tree.name, python=python.text, pair=pair, broken=broken)
            continue
        hazards = list(predict(model, pair))
        proofs = [prove(probe, hazard, runs, tree.main) for hazard in hazards] if runs else []
        yield Judged(
            tree=tree.name,
            python=python.text,
            pair=pair,
            truth=frozenset((there["seen"].keys() | back["seen"].keys()) - {"ok"}),
            predicted=frozenset(hazard.outcome.value for hazard in hazards),
            confirmed=frozenset(proof.outcome.value for proof in proofs if proof.answer is Answer.CONFIRMED),
            schedules=sum(there["seen"].values()) + sum(back["seen"].values()),
        )


def judge_all(trees, pythons, folder, *, runs, jobs, kept):
    """Judge every tree on every interpreter, save those of which ``kept`` knows and those that cannot be compiled."""

    def judge_one(wanted):
        tree, python = wanted
        judged = kept.get(tree, python)
        if judged is None:
            home = folder / f"{python.text}-{tree.name}"
            write(tree, home, python)
            judged = list(judge(tree, python, home, runs=runs))
            kept.put(tree, python, judged)
        return judged

    with ThreadPoolExecutor(jobs) as pool:
        usable = [(tree, python) for python in pythons for tree in trees if not why_not(tree, python)]
        for judged in pool.map(judge_one, usable):
            yield from judged
