"""Parse the command line and run the verb; each verb is a module.

A verb's module has ``add_arguments(parser)`` and ``run(arguments) -> ExitCode``. It is imported only when its verb is
used, so that ``--version`` and ``--help`` answer at once.
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
from python_tsan.cli.help_format import formatter, sentence, tidy
from python_tsan.errors import ExitCode
from python_tsan.plain_text import WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence


class VerbModule(Protocol):
    """The interface of a verb's module."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments and the settings that it reads, and end its help with an example."""

    def run(self, arguments: argparse.Namespace) -> ExitCode:
        """Run the verb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb as the user types it, its line of help, and its module, which has the verb's name unless it is given."""

    name: str
    summary: str
    module: str = ""

    def load(self) -> VerbModule:
        """Import the module: that of ``install-numpy`` is ``python_tsan.cli.install_numpy``."""
        name = self.module or self.name.replace("-", "_")
        return cast("VerbModule", importlib.import_module(f"python_tsan.cli.{name}"))


VERBS = (
    Verb(name="doctor", summary="report what this machine has, what is selected, and how to get what is missing"),
    Verb(name="build", summary="build CPython under ThreadSanitizer, or report that it is up to date"),
    Verb(name="install-numpy", summary="install the locked numpy wheel into the built interpreter"),
    Verb(name="build-harness", summary="build the C++ program that embeds the interpreter"),
    Verb(name="check-gil", summary="check what the GIL orders, and what it does not", module="verify"),
    Verb(name="check-imports", summary="check when importing threads deadlock", module="verify"),
    Verb(name="verify", summary="build what is missing, run every check, print a table of verdicts"),
    Verb(name="test-python", summary="run CPython's own tests for ThreadSanitizer in the built interpreter"),
    Verb(name="run", summary="run any program under ThreadSanitizer, judge the findings and save them"),
    Verb(name="replay", summary="repeat a saved run and report what changed"),
    Verb(name="report", summary="show the findings in the ThreadSanitizer logs of any project"),
    Verb(name="explain", summary="explain a kind of finding, a finding or an error"),
    Verb(name="matrix", summary="run every check on each combination that this machine can build, and compare"),
    Verb(name="compare", summary="compare runs: what differs, by which property, and what it means"),
    Verb(name="merge", summary="merge runs of one subject from several machines"),
    Verb(name="imports", summary="predict and prove deadlocks between imports, on any interpreter"),
    Verb(name="gil", summary="record why the GIL is released, and show the reasons"),
    Verb(name="interpreter", summary="print the description of the selected interpreter as JSON"),
    Verb(name="cmake-dir", summary="print the folder of the CMake package"),
    Verb(name="completion", summary="print the shell completion script"),
)

EXIT_CODES = """\
exit codes:
  0  clean                       4  a download failed or differs from its pin
  1  findings or failed checks   5  a build failed
  2  usage or settings           6  something could not be run or judged
  3  no working compiler         130  interrupted
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


def build_parser(*loaded: str) -> argparse.ArgumentParser:
    """Return the parser of every verb; only the modules of the ``loaded`` verbs are imported and add arguments."""
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
        subparser = verbs.add_parser(
            verb.name,
            help=verb.summary,  # shown by completions; --help has its own table of verbs
            description=sentence(verb.summary),
            formatter_class=formatter,
            allow_abbrev=False,
        )
        if verb.name in loaded:
            module = verb.load()
            subparser.set_defaults(module=module)
            module.add_arguments(subparser)
            tidy(subparser)
    return parser


def _verb_table() -> str:
    # argparse puts a long verb and its help on two lines at every width, so the table is made here.
    indent = 2 + max(len(verb.name) for verb in VERBS) + 2
    lines = (
        textwrap.fill(f"  {verb.name:<{indent - 2}}{verb.summary}", width=WIDTH, subsequent_indent=" " * indent)
        for verb in VERBS
    )
    return "\n".join(("verbs (python-tsan VERB --help shows their options):", *lines, "", ""))
