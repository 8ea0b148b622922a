"""Own the verb ``check-imports``: the checks of concurrent imports; see :mod:`.verification` for how they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli import verification

if TYPE_CHECKING:
    import argparse

    from python_tsan.errors import ExitCode

FILES = ("test_imports.py", "test_numpy.py")

add_arguments = verification.add_arguments


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the checks of imports; exit codes as of ``verify``."""
    return verification.run(arguments, files=FILES)
