"""Own the verb ``verify``: every check, both lanes; see :mod:`.verification` for how a run is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli import verification

if TYPE_CHECKING:
    import argparse

    from python_tsan.errors import ExitCode

add_arguments = verification.add_arguments


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run every check and return 0, 1 for a check that is not met, 6 when something could not be judged."""
    return verification.run(arguments)
