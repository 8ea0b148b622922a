"""Find the interpreters of this machine, for the tables that are measured on each of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.model.interpreter import MINORS, Python, identify
from python_tsan.storage import entries

if TYPE_CHECKING:
    from collections.abc import Iterator


def pythons_at_hand() -> list[Python]:
    """Return one interpreter of each version on ``PATH`` and among pyenv's, oldest first."""
    candidates = [shutil.which(f"python3.{minor}") for minor in MINORS]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates += [str(path) for path in sorted(entries(pyenv, "3.*/bin/python3"))]
    found: dict[tuple[int, ...], Python] = {}
    for candidate in candidates:
        if candidate is not None:
            for python in _try_identify(candidate):
                found.setdefault(python.version, python)
    return [found[version] for version in sorted(found)]


def _try_identify(candidate: str) -> Iterator[Python]:
    try:
        yield identify([candidate])
    except SubjectError:
        return  # pyenv's shims answer for versions that are not chosen, and old releases are of no use here
