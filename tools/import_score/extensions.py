"""Compile the extension modules of a package tree, where the compiler and the interpreter's headers are there."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from python_tsan.process import run

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.imports.model.interpreter import Python
    from tools.import_score.model import Tree

COMPILE_SECONDS = 120.0
ASK = """
import json, os, sysconfig
include = sysconfig.get_path("include")
there = os.path.exists(os.path.join(include, "Python.h"))
print(json.dumps([include if there else "", sysconfig.get_config_var("EXT_SUFFIX")]))
"""


def why_not_compiled(tree: Tree, python: Python) -> str:
    """Return why a tree's extensions cannot be compiled for an interpreter, an empty string if they can."""
    if not any(path.endswith(".c") for path in tree.files):
        return ""
    if shutil.which("gcc") is None:
        return "there is no gcc"
    return "" if _ask(python)[0] else f"Python {python.text} has no headers"


def _ask(python: Python) -> tuple[str, str]:
    """Return the folder of an interpreter's headers, empty without headers, and the suffix of its extension modules."""
    include, suffix = json.loads(run([*python.command, "-I", "-c", ASK], timeout=COMPILE_SECONDS).stdout)
    return include, suffix


def compile_extension(source: Path, python: Python) -> None:
    """Compile a C file to the extension module of its name next to it."""
    include, suffix = _ask(python)
    target = source.with_name(source.stem + suffix)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-I{include}", str(source), "-o", str(target)]
    ended = run(command, timeout=COMPILE_SECONDS)
    if not ended.ok:
        raise RuntimeError(f"{source.name} for Python {python.text}: {ended.stderr[-600:]}")
