"""Own the command line: which verb is meant, and how every failure is told; leave the work to the verbs' modules.

A verb is a module in this folder with ``add_arguments(parser)`` and ``run(arguments) -> ExitCode``. It is imported only
when it is asked for, so that ``--version`` and ``--help`` answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from python_tsan import __version__
from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.layout import formatter, sentence, tidy
from python_tsan.errors import ExitCode
from python_tsan.plain_text import WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence


class VerbModule(Protocol):
    """What a verb's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's own arguments."""

    def run(self, arguments: argparse.Namespace) -> ExitCode:
        """Do the verb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb as the user types it, the module that does it, and the line of help that describes it.

    ``settings`` says whether it takes the settings that builds and runs share, apart from ``replaced`` ones, whose
    options mean more in this verb and are declared by it.
    """

    name: str
    summary: str
    settings: bool = True
    replaced: tuple[str, ...] = ()

    def load(self) -> VerbModule:
        """Import the module: ``install-numpy`` is done by ``python_tsan.cli.install_numpy``."""
        return cast("VerbModule", importlib.import_module(f"python_tsan.cli.{self.name.replace('-', '_')}"))


VERBS = (
    Verb(name="doctor", summary="show what this machine offers, what is chosen, and how to get what is missing"),
    Verb(name="build", summary="build CPython under ThreadSanitizer, or say why nothing is to do"),
    Verb(name="install-numpy", summary="install the locked numpy wheel into the built interpreter"),
    Verb(name="build-harness", summary="build the C++ program that embeds the interpreter"),
    Verb(name="check-gil", summary="check that the GIL orders what it should, and nothing else"),
    Verb(name="check-imports", summary="check that threads that import do not deadlock, and how they can"),
    Verb(name="verify", summary="build what is missing, run every check, print one table of verdicts"),
    Verb(name="test-python", summary="run CPython's own tests for ThreadSanitizer in the built interpreter"),
    Verb(
        name="run",
        summary="run any program under ThreadSanitizer, judge what it shows and keep it",
        replaced=("python", "timeout"),
    ),
    Verb(name="replay", summary="run what a run's folder holds once more, and say what differs"),
    Verb(name="report", summary="show the findings of any project's ThreadSanitizer logs", settings=False),
    Verb(name="explain", summary="explain a kind of finding, a finding or an error at length", settings=False),
    Verb(
        name="matrix",
        summary="run every check on each combination that this machine can build, and compare",
        replaced=("python", "free-threaded", "toolchain", "binding"),
    ),
    Verb(name="compare", summary="show runs side by side: what differs, by what, and what that means", settings=False),
    Verb(name="merge", summary="add up runs of one subject from many machines", settings=False),
    Verb(
        name="imports",
        summary="find and prove deadlocks between imports, on any interpreter",
        replaced=("python",),
    ),
    Verb(name="gil", summary="record why the GIL is released, and answer questions about it"),
    Verb(name="interpreter", summary="print what is known of the interpreter that is meant, as JSON"),
    Verb(name="cmake-dir", summary="print the folder of the CMake package", settings=False),
    Verb(name="completion", summary="print what makes a shell complete verbs and options", settings=False),
)

EXIT_CODES = """\
exit codes:
  0  clean                       4  a download failed or is not what is pinned
  1  findings or unmet checks    5  a build failed
  2  usage or settings           6  something could not be run or judged
  3  no compiler that serves     130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (``sys.argv`` by default) and return the process's exit code."""
    return as_exit_code(lambda: _dispatch(sys.argv[1:] if arguments is None else arguments), last=arguments is None)


def _dispatch(arguments: Sequence[str]) -> ExitCode:
    # The options before the verb take no values, so that the first plain word is the verb.
    parser = build_parser(next((word for word in arguments if not word.startswith("-")), ""))
    parsed = parser.parse_args(arguments)
    if parsed.verb is None:
        parser.print_help()
        return ExitCode.USAGE
    module = cast("VerbModule", parsed.module)
    return module.run(parsed)


def build_parser(*wanted: str) -> argparse.ArgumentParser:
    """Return the parser of every verb, in which only ``wanted`` verbs' modules are loaded and have their arguments."""
    parser = argparse.ArgumentParser(
        prog="python-tsan",
        usage="python-tsan [-h] [--version] VERB ...",
        description="Prove that a multi-threaded C++ program that embeds CPython\nis free of data races and safe from "
        "import deadlocks.",
        epilog=_verb_table() + EXIT_CODES,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"python-tsan {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", prog="python-tsan", help=argparse.SUPPRESS)
    for verb in VERBS:
        chosen = verb.name in wanted
        module = verb.load() if chosen else None
        subparser = verbs.add_parser(
            verb.name,
            help=verb.summary,  # shown by completions; the table of all verbs is made here
            description=sentence(verb.summary),
            parents=_settings_parents(verb) if chosen and verb.settings else [],
            formatter_class=formatter,
            allow_abbrev=False,
        )
        subparser.set_defaults(module=module)
        if module is not None:
            module.add_arguments(subparser)
            tidy(subparser)
    return parser


def _verb_table() -> str:
    # argparse puts a long verb and its help on two lines whatever the width, so the table is made here.
    indent = 2 + max(len(verb.name) for verb in VERBS) + 2
    lines = (
        textwrap.fill(f"  {verb.name:<{indent - 2}}{verb.summary}", width=WIDTH, subsequent_indent=" " * indent)
        for verb in VERBS
    )
    return "\n".join(("verbs (python-tsan VERB --help tells more):", *lines, "", ""))


def _settings_parents(verb: Verb) -> list[argparse.ArgumentParser]:
    from python_tsan.cli.options import settings_parser  # noqa: PLC0415 -- reads tomllib and platformdirs

    return [settings_parser(without=verb.replaced)]
