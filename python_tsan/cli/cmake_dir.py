"""The verb ``cmake-dir``: print the folder of the CMake package, ``native/package``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.console import make_console
from python_tsan.errors import ExitCode
from python_tsan.paths import native_folder

if TYPE_CHECKING:
    import argparse

PACKAGE = "package"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Explain what the folder is for."""
    text = (
        "find_package(python_tsan) finds the package with -Dpython_tsan_DIR=FOLDER.\n"
        "FOLDER/toolchain.cmake sets that, the compiler and the interpreter."
    )
    end_with(parser, "python-tsan cmake-dir", before=text)


def run(_arguments: argparse.Namespace) -> ExitCode:
    """Print the folder, alone on its line."""
    make_console().data(str(native_folder() / PACKAGE))
    return ExitCode.CLEAN
