"""Own the verb ``check-gil``: the checks of what the GIL orders; see :mod:`.verification` for how they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli import verification

if TYPE_CHECKING:
    import argparse

    from python_tsan.errors import ExitCode

FILES = (
    "test_gil.py",
    "test_free_threading.py",
    "test_objects.py",
    "test_lifecycle.py",
    "test_subinterpreters.py",
    "test_defects.py",
    "test_locks.py",
    "test_gil_release.py",
    "test_gil_engines.py",
    "test_nanobind.py",
)

add_arguments = verification.add_arguments


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the checks of the GIL; exit codes as of ``verify``."""
    return verification.run(arguments, files=FILES)
