"""The verb ``test-python``: select CPython's own tests and run them."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from pathlib import Path

from python_tsan.checking.own_tests import Limits
from python_tsan.cli.options import open_context
from python_tsan.cli.own_tests import TestRequest, judge_tests
from python_tsan.cpython.own_tests import Selection, files_of_test, selected_tests
from python_tsan.cpython.sources.search import obtain_source
from python_tsan.errors import ExitCode, UsageError
from python_tsan.result.codec import load_result
from python_tsan.result.shard import parse_shard, share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the tests and the limits."""
    parser.add_argument(
        "tests", nargs="*", metavar="TEST", help="such as test_queue (default: what --tsan of CPython runs)"
    )
    parser.add_argument(
        "--parallel",
        type=_threads,
        metavar="N",
        help="run what --tsan-parallel selects (3.14 and later), each case in N threads at once",
    )
    parser.add_argument("--shard", metavar="I/N", help="only part I of N, for as many machines")
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="take over what a run that was cut short had judged; run the others"
    )
    parser.add_argument("--list", action="store_true", help="print the tests that would be run, and run none")
    parser.add_argument(
        "--whole", type=_seconds, default=1800.0, metavar="SECONDS", help="limit for all tests together (1800)"
    )
    parser.add_argument("--each", type=_seconds, default=600.0, metavar="SECONDS", help="limit for each test (600)")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run CPython's own tests and return the run's code: 0 clean, 1 a test not clean, 6 not all were judged."""
    context = open_context(arguments)
    tree = obtain_source(context.settings, layout=context.layout, console=context.console)
    selection = Selection.PARALLEL if arguments.parallel else Selection.THREADED
    chosen = choose_tests(arguments.tests, tree.path, tree.record.version, selection)
    tests = part_of(chosen, arguments.shard)
    if arguments.list:
        for test in tests:
            context.console.say(test)
        return ExitCode.CLEAN
    request = TestRequest(
        tests=tests,
        threads=arguments.parallel,
        limits=Limits(whole=arguments.whole, each=arguments.each, jobs=context.settings.jobs),
        earlier=load_result(arguments.resume) if arguments.resume else None,
        notes=(f"shard {arguments.shard}: {len(tests)} of {len(chosen)} tests",) if arguments.shard else (),
    )
    return judge_tests(request, tree, context).exit_code


def part_of(tests: tuple[str, ...], shard: str | None) -> tuple[str, ...]:
    """Return one machine's part of the tests; all parts together are all of them. Raises ``UsageError``."""
    part = tuple(tests[number - 1] for number in share(parse_shard(shard) if shard else None, len(tests)))
    if not part:
        raise UsageError(f"--shard {shard}: there are only {len(tests)} tests", page="merge")
    return part


def choose_tests(named: list[str], tree: Path, version: str, selection: Selection) -> tuple[str, ...]:
    """Return the tests to run. Raises ``UsageError`` for one that does not exist, or when there is none to choose."""
    selected = selected_tests(tree, selection)
    chosen = tuple(dict.fromkeys(named)) or selected
    if not chosen or (selection is Selection.PARALLEL and not selected):
        raise UsageError(
            f"CPython {version} has no `-m test {selection.option}`: it came with {selection.since}",
            advice="without --parallel, name the tests, such as test_threading test_queue",
        )
    for test in chosen:
        if not files_of_test(tree, test):
            known = [path.stem for path in sorted(tree.joinpath("Lib", "test").glob("test_*"))]
            near = get_close_matches(test, known, n=1)
            raise UsageError(
                f"CPython {version} has no test {test!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
                advice="--list prints the default selection; the others are in Lib/test of its source",
            )
    return chosen


def _threads(text: str) -> int:
    if not (text.isdecimal() and int(text) > 1):
        raise argparse.ArgumentTypeError(f"a number of threads from 2 is wanted, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds above 0 is wanted, not {text!r}")
    return value
