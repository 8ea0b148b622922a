"""Own the verb ``cmake-dir``: where the CMake package is; leave what it does to its files in ``native/package``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.console import make_console
from python_tsan.errors import ExitCode
from python_tsan.paths import native_folder

if TYPE_CHECKING:
    import argparse

PACKAGE = "package"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing but what the folder is for."""
    parser.epilog = (
        "find_package(python_tsan) finds it by -Dpython_tsan_DIR=FOLDER;\n"
        "FOLDER/toolchain.cmake sets that, the compiler and the interpreter."
    )


def run(_arguments: argparse.Namespace) -> ExitCode:
    """Print the folder, alone on its line."""
    make_console().say(str(native_folder() / PACKAGE))
    return ExitCode.CLEAN
