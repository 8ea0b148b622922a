"""Own the verb ``matrix``: what is asked for, and the plan of it; leave carrying it out to ``matrix_run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.binding import parse_binding
from python_tsan.cli import verification
from python_tsan.cli.matrix_run import carry_out, tell_left_out
from python_tsan.cli.options import open_context
from python_tsan.errors import UsageError
from python_tsan.expectation import Lane
from python_tsan.matrix.available import look
from python_tsan.matrix.model import Wish
from python_tsan.matrix.outcomes import exit_code
from python_tsan.matrix.plan import plan_matrix
from python_tsan.setting_values import Kind, convert

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from python_tsan.console import Console
    from python_tsan.errors import ExitCode
    from python_tsan.matrix.model import Plan

_THREADING = {"gil": (False,), "free-threaded": (True,), "both": ()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``matrix``. Its axes take several values where other verbs' settings take one."""
    add = parser.add_argument
    several = "; may be repeated or comma-separated"
    add("--python", dest="pythons", action="append", default=[], metavar="VERSION", help=f"only this one{several}")
    add("--gil", choices=_THREADING, default="both", help="with the GIL, without it, or both (both)")
    add("--toolchain", dest="toolchains", action="append", default=[], metavar="NAME", help=f"only this{several}")
    add("--binding", dest="bindings", action="append", default=[], metavar="NAME==VERSION", help=f"only this{several}")
    add("--whole", action="store_true", help="all combinations, not only those one step apart")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--list", dest="listed", action="store_true", help="show what would be run, and run nothing")
    choice.add_argument("--json", action="store_true", help="print that for GitHub's strategy.matrix, and run nothing")
    add("--resume", type=Path, metavar="DIR", help="go on in the folder of an earlier matrix, or add to it")
    add("--page", type=Path, metavar="DIR", help="write the comparison there as well, as Markdown and HTML")
    add("-k", dest="keyword", metavar="EXPR", default="", help="run the checks that match, as in pytest")
    add("--repeats", type=int, metavar="N", help="runs of each subject (default: its own number)")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Plan; then print the plan, or run it. One combination that fails costs none of the others."""
    wish = wish_of(arguments)
    context = open_context(arguments)
    plan = plan_matrix(look(context.settings, wish, layout=context.layout, console=context.console), wish)
    if arguments.json:
        context.console.say(github_matrix(plan))
        tell_left_out(plan, context.console.warn)
        return exit_code(plan, ())
    if arguments.listed:
        _list(plan, context.console)
        return exit_code(plan, ())
    request = verification.CheckRequest(lanes=(Lane.FULL,), keyword=arguments.keyword, repeats=arguments.repeats)
    return carry_out(plan, context, request, resume=arguments.resume, page=arguments.page)


def wish_of(arguments: argparse.Namespace) -> Wish:
    """Return what the command line asks for; raises :class:`UsageError` for a version that is none."""
    pythons = _split(arguments.pythons)
    for version in pythons:
        if convert(Kind.VERSION, version, Path.cwd()) is None:
            raise UsageError(f"--python {version}: that is not {Kind.VERSION.value}", page="matrix")
    bindings = {text: parse_binding(text) for text in _split(arguments.bindings)}
    for text, binding in bindings.items():
        if binding is None:
            raise UsageError(f"--binding {text}: that is not {Kind.BINDING.value}", page="matrix")
    return Wish(
        pythons=pythons,
        threading=_THREADING[arguments.gil],
        toolchains=_split(arguments.toolchains),
        bindings=tuple(dict.fromkeys(filter(None, bindings.values()))),
        whole=arguments.whole,
    )


def _split(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for each in given for word in each.split(",") if word.strip()))


def github_matrix(plan: Plan) -> str:
    """Return the combinations as one line of JSON, to be read by ``fromJSON`` into ``strategy.matrix``."""
    include = [
        {
            "name": each.name,
            "slug": each.slug,
            "python": each.python,
            "free-threaded": each.free_threaded,
            "toolchain": each.toolchain,
            "binding": each.binding.requirement,
        }
        for each in plan.combinations
    ]
    return json.dumps({"include": include}, separators=(",", ":"))


def _list(plan: Plan, console: Console) -> None:
    for each in plan.combinations:
        console.say(each.name)
    tell_left_out(plan, console.say)
