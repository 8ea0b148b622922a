"""Survey one package on one Python in a process of its own, which its parent can end at the deadline."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from python_tsan.imports.atlas.cell import save_cell
from python_tsan.imports.atlas.survey import Bounds, survey
from python_tsan.imports.measure import identify
from python_tsan.imports.probe import Probe

PATIENCE = 30.0


def main() -> None:
    """Read what to survey from the command line and keep the cell."""
    parser = argparse.ArgumentParser(prog="python_tsan.imports.atlas.worker", description=__doc__)
    parser.add_argument("package")
    parser.add_argument("python", help="the interpreter's executable")
    parser.add_argument("cells", type=Path, help="the folder that the cell is kept in")
    parser.add_argument("--modules", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    bounds = Bounds(modules=arguments.modules, runs=arguments.runs, seconds=arguments.seconds)
    with tempfile.TemporaryDirectory(prefix="python-tsan-atlas-") as name:
        # What a package writes into the user's folder when it is imported goes away with its environment.
        for variable, folder in (("MPLCONFIGDIR", "mpl"), ("XDG_CONFIG_HOME", "config")):
            os.environ[variable] = str(Path(name, folder))
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        python = identify([arguments.python])
        probe = Probe(python=python, patience=PATIENCE, bytecode=Path(name, "bytecode"))
        save_cell(arguments.cells, survey(arguments.package, probe, Path(name, "packages"), bounds))


if __name__ == "__main__":
    main()
