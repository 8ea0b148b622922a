"""Make the loader's variables that preload libraries into a program. No I/O."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PRELOAD, SEARCHED = "LD_PRELOAD", "LD_LIBRARY_PATH"


def preloading(libraries: Sequence[Path], env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that preload ``libraries``, before those that ``env`` already preloads.

    A blank separates the names in ``LD_PRELOAD`` and cannot be escaped (ld.so(8)). A library below a folder with one is
    therefore named without the folder, which is searched after all others.
    """
    blank = [library for library in libraries if " " in str(library)]
    names = [library.name if library in blank else str(library) for library in libraries]
    variables = {PRELOAD: _joined([*names, env.get(PRELOAD, "")])}
    if blank:
        variables[SEARCHED] = _joined([env.get(SEARCHED, ""), *(str(library.parent) for library in blank)])
    return variables


def _joined(parts: Sequence[str]) -> str:
    return os.pathsep.join(dict.fromkeys(part for part in parts if part))
