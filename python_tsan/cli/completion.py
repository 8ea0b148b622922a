"""The verb ``completion``: print the script with which a shell completes verbs and options; shtab writes it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.cli.main import VERBS, build_parser
from python_tsan.console import make_console
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")
_FILES = frozenset({"FILE", "FILE|URL", "LOG", "PATH", "RUN", "TRACE", "VERSION|PATH"})
_FOLDERS = frozenset({"DIR"})
_HOW = """\
installation:
  bash  python-tsan completion bash >
          ~/.local/share/bash-completion/completions/python-tsan
  zsh   python-tsan completion zsh > "${fpath[1]}/_python-tsan"
  fish  python-tsan completion fish >
          ~/.config/fish/completions/python-tsan.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")
    end_with(parser, "python-tsan completion bash", before=_HOW)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the script of all verbs."""
    import shtab  # noqa: PLC0415 -- nothing else needs it

    script = shtab.complete(completable(build_parser(*(verb.name for verb in VERBS))), shell=arguments.shell)
    make_console().data(script.rstrip())
    return ExitCode.CLEAN


def completable(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser with what completion needs: visible verbs, and which arguments are files."""
    import shtab  # noqa: PLC0415 -- nothing else needs it

    for action in _actions(parser):
        if action.choices is None and action.metavar in _FILES | _FOLDERS:
            action.complete = shtab.FILE if action.metavar in _FILES else shtab.DIRECTORY  # type: ignore[attr-defined]
    return parser


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to a parser's arguments
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- as above
            action.help = None  # suppressed in --help, which has its own table of verbs
            for each in action.choices.values():
                yield from _actions(each)
        else:
            yield action
