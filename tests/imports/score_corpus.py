"""Score the predictor on every interpreter at hand: `score_corpus.py --write PAGE`. Exit code 1: not good enough."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from corpus.kept import Kept
from corpus.page import by_python, page
from corpus.score import judge_all
from corpus.trees import corpus

from python_tsan.config import load_settings
from python_tsan.console import make_console
from python_tsan.cpython.debian_pythons import unpack_pythons
from python_tsan.errors import PythonTsanError
from python_tsan.imports.model.interpreter import identify, pythons_at_hand
from python_tsan.paths import Layout

RUNS = 1


def main():
    """Judge the corpus and write the page."""
    parser = argparse.ArgumentParser(prog="score_corpus.py", description=__doc__)
    parser.add_argument("--output", type=Path, help="the page")
    parser.add_argument("--python", action="append", default=[], help="this interpreter, and not those at hand")
    parser.add_argument("--only", default="", help="trees whose names begin so")
    parser.add_argument("--again", action="store_true", help="judge again what was judged before")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    console = make_console(quiet=False)
    pythons = [identify([name]) for name in arguments.python] or _at_hand(console)
    trees = [tree for tree in corpus() if tree.name.startswith(arguments.only)]
    console.note(f"{len(trees)} trees on {', '.join(python.text for python in pythons)}")
    judged = []
    with tempfile.TemporaryDirectory(prefix="import-corpus-") as folder:
        kept = Kept(Path(folder, "kept") if arguments.again else _cache() / "import-scores")
        for each in judge_all(trees, pythons, Path(folder), runs=RUNS, jobs=arguments.jobs, kept=kept):
            judged.append(each)
            if not each.broken and bool(each.truth) != bool(each.predicted):
                console.warn(f"{each.tree} on {each.python}: {' against '.join(each.pair)}: {_summary(each)}")
    scores = by_python(judged)
    for version, score in scores.items():
        console.say(
            f"{'.'.join(map(str, version))}: {score.pairs} pairs, {score.hazards} hazards, recall {score.recall:.3f}, "
            f"precision {score.precision:.3f}, after runs {score.confirmed_precision:.3f}"
        )
    if arguments.output:
        text = page(
            judged,
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            machine=f"{platform.system()} {platform.machine()}",
            trees=len(trees),
        )
        arguments.output.write_text(text, encoding="utf-8")
    return 0 if all(score.met for score in scores.values()) else 1


def _summary(judged):
    truth, predicted = (", ".join(sorted(each)) or "nothing" for each in (judged.truth, judged.predicted))
    return f"{truth} happened, {predicted} was predicted"


def _cache():
    return load_settings({}, env=os.environ, cwd=Path.cwd()).cache


def _at_hand(console):
    settings = load_settings({}, env=os.environ, cwd=Path.cwd())
    found = pythons_at_hand()
    try:
        paths = unpack_pythons(layout=Layout(root=settings.cache), console=console, timeout=settings.network_timeout)
    except PythonTsanError as error:
        console.warn(f"without Debian's newest: {error.message}")
        paths = ()
    newest = {python.version: python for python in (*found, *(identify([str(path)]) for path in paths))}
    return [newest[version] for version in sorted(newest)]


if __name__ == "__main__":
    sys.exit(main())
