"""Score the predictor on every interpreter on this machine; exit with code 1 where a requirement is not met."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.options import add_settings, open_context
from python_tsan.errors import ExitCode, PythonTsanError
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.scan import CORES
from python_tsan.plain_text import counted
from tools.debian_pythons import unpack_pythons
from tools.import_score.judging import CORPUS, judge_all
from tools.import_score.kept import Kept
from tools.import_score.page import by_python, page
from tools.pythons import pythons_at_hand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.cli.options import VerbContext
    from python_tsan.imports.model.interpreter import Python
    from tools.import_score.model import JudgedPair, Tree

RUNS = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the corpus, write the page and return the exit code."""
    return as_exit_code(lambda: _perform(parser().parse_args(arguments)), last=arguments is None)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(prog="python -m tools.import_score", description=__doc__)
    add = parser.add_argument
    add("--python", dest="interpreters", metavar="PATH", action="append", default=[], help="instead of all found here")
    add("--only", metavar="PREFIX", default="", help="trees whose names begin with this")
    add("--again", action="store_true", help="repeat what was judged before")
    add("--output", type=Path, metavar="FILE", help="write the page")
    add_settings(parser, "cache", "jobs", "network-timeout")
    return parser


def _perform(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    console = context.console
    pythons = [identify([name]) for name in arguments.interpreters] or _pythons(context)
    trees = [tree for tree in corpus() if tree.name.startswith(arguments.only)]
    console.note(f"{len(trees)} trees on {', '.join(python.text for python in pythons)}")
    judged = []
    with tempfile.TemporaryDirectory(prefix="import-corpus-") as folder:
        kept = Kept(Path(folder, "kept") if arguments.again else context.layout.root / "import-scores")
        jobs = context.settings.jobs or CORES
        for each in judge_all(trees, pythons, Path(folder), runs=RUNS, jobs=jobs, kept=kept):
            judged.append(each)
            if not each.broken and bool(each.truth) != bool(each.predicted):
                console.warn(f"{each.tree} on {each.python}: {' against '.join(each.pair)}: {_difference(each)}")
    scores = by_python(judged)
    for version, score in scores.items():
        console.say(
            f"{'.'.join(map(str, version))}: {counted(score.pairs, 'pair')}, {counted(score.hazards, 'hazard')}, "
            f"recall {score.recall:.3f}, "
            f"precision {score.precision:.3f}, after runs {score.confirmed_precision:.3f}"
        )
    if arguments.output:
        date, machine = datetime.now(UTC).strftime("%Y-%m-%d"), f"{platform.system()} {platform.machine()}"
        arguments.output.write_text(page(judged, date=date, machine=machine, trees=len(trees)), encoding="utf-8")
    return ExitCode.CLEAN if all(score.met for score in scores.values()) else ExitCode.FINDINGS


def corpus() -> list[Tree]:
    """Return the trees that the tests define."""
    sys.path.insert(0, str(CORPUS.parent))
    trees: list[Tree] = import_module("corpus.trees").corpus()
    return trees


def _difference(judged: JudgedPair) -> str:
    truth, predicted = (", ".join(sorted(each)) or "nothing" for each in (judged.truth, judged.predicted))
    return f"{truth} happened, {predicted} was predicted"


def _pythons(context: VerbContext) -> list[Python]:
    found = pythons_at_hand()
    try:
        timeout = context.settings.network_timeout
        paths = unpack_pythons(layout=context.layout, console=context.console, timeout=timeout)
        found += [identify([str(path)]) for path in paths]
    except PythonTsanError as error:
        context.console.warn(f"without Debian's newest: {error.message}")
    newest = {python.version: python for python in found}
    return [newest[version] for version in sorted(newest)]


if __name__ == "__main__":
    sys.exit(main())
