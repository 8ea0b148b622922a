"""Own the private environment of a survey: a folder for its packages, their bytecode and what they write at home."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.imports.atlas.survey import survey
from python_tsan.imports.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_tsan.imports.atlas.cell import Cell
    from python_tsan.imports.atlas.survey import Bounds
    from python_tsan.imports.measure import Python

PATIENCE = 30.0  # seconds that the import of one module may take


def survey_privately(package: str, python: Python, bounds: Bounds, *, keep: Callable[[Cell], None]) -> Cell:
    """Survey a package in an environment that is gone afterwards; ``keep`` is as in :func:`survey`.

    It changes this process's own environment.
    """
    with tempfile.TemporaryDirectory(prefix="python-tsan-atlas-") as name:
        # What some packages write into the user's folders when they are imported goes away with the rest.
        for variable, folder in (("MPLCONFIGDIR", "mpl"), ("XDG_CONFIG_HOME", "config")):
            os.environ[variable] = str(Path(name, folder))
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        probe = Probe(python=python, patience=PATIENCE, bytecode=Path(name, "bytecode"))
        return survey(package, probe, Path(name, "packages"), bounds, keep=keep)
