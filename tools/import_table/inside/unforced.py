"""Import the modules of one package from several threads at once, with nothing held back, as a program would.

The package is the plainest there is: its body takes a name from each of its modules. Prints the errors of one trial as
a line of JSON; how often they come is for many fresh processes to say.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from python_tsan.imports.cases.import_cases.scheduler import Scheduler

from .mitigations import MITIGATIONS
from .program import Program

LEAVES = 8
THREADS = 4
HUNG_SECONDS = 20


def write_package(folder: Path) -> tuple[str, ...]:
    """Write the package ``barrel`` and return the modules that the threads import."""
    package = folder / "barrel"
    package.mkdir()
    leaves = [f"leaf{number}" for number in range(LEAVES)]
    body = "".join(f"from .{leaf} import VALUE as {leaf.upper()}\n" for leaf in leaves)
    (package / "__init__.py").write_text(body, encoding="utf-8")
    for leaf in leaves:
        (package / f"{leaf}.py").write_text("VALUE = 1\n", encoding="utf-8")
    return tuple(f"barrel.{leaf}" for leaf in leaves[:THREADS])


def trial(folder: Path, mitigation: str) -> list[str]:
    """Start the threads at once and return the types of the errors that they met."""
    entries = write_package(folder)
    sys.path.insert(0, str(folder))
    nothing_held = Scheduler((), frozenset())
    get = MITIGATIONS[mitigation](Program(nothing_held, importlib.import_module, entries))
    together = threading.Barrier(THREADS)
    errors: list[str] = []

    def run(entry: str) -> None:
        together.wait()
        try:
            get(entry)
        except Exception as error:  # noqa: BLE001 -- which one it is, is the result
            errors.append(type(error).__name__)

    threads = [threading.Thread(target=run, args=(entry,)) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def main() -> None:
    """Do one trial."""
    parser = argparse.ArgumentParser(prog="import_cases.unforced", description=__doc__)
    parser.add_argument("--mitigation", default="none", choices=sorted(MITIGATIONS))
    arguments = parser.parse_args()
    faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
    with tempfile.TemporaryDirectory(prefix="import-cases-") as folder:
        errors = trial(Path(folder), arguments.mitigation)
    sys.stdout.write(json.dumps(errors) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
