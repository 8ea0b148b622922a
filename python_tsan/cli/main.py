"""Parse the command line and run the verb; each verb is a module.

A verb's module has ``add_arguments(parser)`` and ``run(arguments) -> ExitCode``. It is imported only when its verb is
used, so that ``--version`` and ``--help`` answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol, cast

from python_tsan import __version__
from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.help_format import formatter, name_of, sentence, tidy
from python_tsan.collector import paused
from python_tsan.errors import ExitCode, UsageError
from python_tsan.plain_text import WIDTH, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence


# Takes long to import, because it imports inspect
TYPING_EXTENSIONS = "typing_extensions"


class VerbModule(Protocol):
    """The interface of a verb's module."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments and the settings that it reads, and end its help with an example."""

    def run(self, arguments: argparse.Namespace) -> ExitCode:
        """Run the verb."""


class Verb(NamedTuple):
    """A verb as the user types it, its line of help, and its module, which has the verb's name unless it is given."""

    name: str
    summary: str
    module: str = ""

    def load(self) -> VerbModule:
        """Import the module: that of ``install-numpy`` is ``python_tsan.cli.install_numpy``."""
        _import_msgspec()
        name = self.module or self.name.replace("-", "_")
        return cast("VerbModule", importlib.import_module(f"python_tsan.cli.{name}"))


def _import_msgspec() -> None:
    """Import msgspec without typing_extensions, of which it takes names that typing has since Python 3.11."""
    if TYPING_EXTENSIONS in sys.modules:
        return
    sys.modules[TYPING_EXTENSIONS] = None  # type: ignore[assignment] # as if it were not installed
    try:
        importlib.import_module("msgspec")
    finally:
        del sys.modules[TYPING_EXTENSIONS]


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
    with paused():  # imports drop nothing
        parser = build_parser(next((word for word in arguments if not word.startswith("-")), ""))
    parsed = parser.parse_args(arguments)
    if parsed.verb is None:
        parser.print_help()
        return ExitCode.USAGE
    parsed.words = tuple(arguments)
    module = cast("VerbModule", parsed.module)
    return module.run(parsed)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of every other stage: they name the verb and say what was probably meant."""

    def error(self, message: str) -> NoReturn:
        self._refuse(message, f"see `{self.prog} --help`")

    def parse_known_args(  # type: ignore[override]  # the overloads differ only in the class of the namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and refuse what is left: the outer parser, which gets it otherwise, has no names to suggest."""
        parsed, rest = super().parse_known_args(args, namespace)
        if rest:
            option = next((word.partition("=")[0] for word in rest if word.startswith("-")), "")
            known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
            what = f"unknown option {option}" if option else f"unexpected argument {rest[0]!r}"
            self._refuse(what, did_you_mean(option, known, otherwise=f"`{self.prog} --help` lists the options"))
        return parsed, rest

    def _check_value(self, action: argparse.Action, value: object) -> None:
        known = [str(choice) for choice in action.choices or ()]
        if known and value not in (action.choices or ()):
            what = (
                f"{action.option_strings[-1]} {value}"
                if action.option_strings
                else f"{name_of(action).lower()} {value!r}"
            )
            self._refuse(
                f"unknown {what}", did_you_mean(str(value), known, otherwise=f"choose from {', '.join(known)}")
            )

    def _refuse(self, message: str, advice: str) -> NoReturn:
        verb = self.prog.partition(" ")[2]
        raise UsageError(f"{verb}: {message}" if verb else message, advice=advice)


def build_parser(*loaded: str) -> argparse.ArgumentParser:
    """Return the parser of the ``loaded`` verbs, whose modules are imported; of the names of all verbs without them."""
    parser = _Parser(
        prog="python-tsan",
        usage="python-tsan [-h] [--version] VERB ...",
        description="Find data races, deadlocks with the GIL, calls of Python's C API without it, and\n"
        "import deadlocks in C++ programs that embed CPython, and in extension modules.",
        epilog=_verb_table() + EXIT_CODES,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"python-tsan {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", prog="python-tsan", help=argparse.SUPPRESS)
    for verb in [each for each in VERBS if each.name in loaded] or VERBS:
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
