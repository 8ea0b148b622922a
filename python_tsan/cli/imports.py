"""Own the verb ``imports``: which of its own verbs is meant; leave each one to its module beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from python_tsan.cli import imports_preimport, imports_scan, imports_watch
from python_tsan.cli.options import open_context

if TYPE_CHECKING:
    import argparse

    from python_tsan.cli.options import Context
    from python_tsan.errors import ExitCode


class ImportVerbs(Protocol):
    """What a module of import verbs offers: it declares them, and sets ``act`` to what does each."""

    def add_verbs(self, verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Declare the verbs, each with its own arguments."""


class Act(Protocol):
    """Do one verb of imports."""

    def __call__(self, arguments: argparse.Namespace, context: Context) -> ExitCode:
        """Return the exit code."""


MODULES: tuple[ImportVerbs, ...] = (imports_scan, imports_preimport, imports_watch)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of imports."""
    verbs = parser.add_subparsers(dest="imports_verb", metavar="VERB", required=True)
    for module in MODULES:
        module.add_verbs(verbs)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Do one of the verbs. FINDINGS: a hazard, a report, a stale list, or a row that is not as the table says."""
    act: Act = arguments.act
    return act(arguments, open_context(arguments))
