"""Install one package into a private environment: wheels only, by uv, without running the interpreter."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from python_tsan.cpython.tools import uv_pip
from python_tsan.errors import SubjectError
from python_tsan.process import run

if TYPE_CHECKING:
    from pathlib import Path

INSTALL_SECONDS = 300.0

#   x No solution found when resolving dependencies:
#   `-> Because ... has no wheels with a matching Python ABI tag ...
_DRAWING = re.compile(r"^[^\w']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is in an environment: the package's version, and the names of the distributions that came with it."""

    version: str
    others: tuple[str, ...]


def install(package: str, folder: Path, *, minor: str) -> Installed:
    """Put ``package`` and what it needs into ``folder``, as wheels for CPython ``minor``.

    Raises SubjectError with uv's own reason when there is no wheel, or none can be fetched.
    """
    wheels = ("--no-config", "--only-binary", ":all:", "--python", sys.executable, "--python-version", minor)
    ended = run(uv_pip(*wheels, "--target", folder, package), timeout=INSTALL_SECONDS)
    if not ended.ok:
        raise SubjectError(f"cannot be installed: {_reason(ended.stderr)}")
    versions = {_normal(each.metadata["Name"]): each.version for each in distributions(path=[str(folder)])}
    return Installed(
        version=versions.pop(_normal(package), ""),
        others=tuple(sorted(versions)),
    )


def _reason(text: str) -> str:
    """Return uv's reason without the drawing round it."""
    words = " ".join(_DRAWING.sub("", line).strip() for line in text.splitlines())
    return " ".join(words.split()) or "uv gave no reason"


def _normal(name: str) -> str:
    """Spell a project's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
