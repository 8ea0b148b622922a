"""Own finding tools, and the command lines of uv, which installs from outside the interpreter; leave running them."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

from python_tsan.errors import BuildError


def find_uv() -> Path:
    """Return uv: the one installed beside this package, else the one on PATH. Raises ``BuildError`` without any."""
    return find_tool("uv", purpose="it installs packages without running the slow instrumented interpreter")


def find_tool(name: str, *, purpose: str = "it is needed to build") -> Path:
    """Return the program ``name``: the one installed beside this package by its extras, else the one on PATH.

    Raises ``BuildError`` when there is none, with what it is for.
    """
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if not found:
        raise BuildError(
            f"{name} was not found; {purpose}.",
            advice=f"Install it with the package: python -m pip install 'python-tsan[verify]', or put {name} on PATH.",
        )
    return Path(found)


def uv_install(requirements: Path, *, hashed: bool = True) -> list[str | Path]:
    """Return the command that installs the wheels of a requirements file, each checked against its hash.

    Never from source: numpy's build would run for many minutes, in silence.
    """
    hashes = ("--require-hashes",) if hashed else ()
    options = ("--quiet", "--no-config", "--no-deps", "--only-binary", ":all:", *hashes)
    return [find_uv(), "pip", "install", *options, "--requirements", requirements]


def uv_index() -> list[str | Path]:
    """Return the command that prints ``--index-url URL``, the package index that uv's settings mean; it asks nobody."""
    return [find_uv(), "pip", "compile", "-", "--emit-index-url", "--no-header", "--quiet", "--offline"]
