"""Compile and run pybind11's and nanobind's own thread tests: ``python -m tools.peers --pybind11 DIR --python DIR``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import BuildError
from tools.peers.parts import PARTS, Part

if TYPE_CHECKING:
    from python_tsan.cpython.manifest import Interpreter

FLAGS = ("-std=c++17", "-O1", "-g1", "-fsanitize=thread", "-pthread", "-fPIC", "-fvisibility=hidden")
COMPILE_SECONDS = 1200.0
SECONDS = 600


def main() -> None:
    """Run the parts whose checkouts are given, with each interpreter; the runs stay in ``--work``."""
    parser = argparse.ArgumentParser(prog="python -m tools.peers", description=__doc__)
    parser.add_argument("--pybind11", type=Path, metavar="DIR", help="a checkout of pybind11")
    parser.add_argument("--nanobind", type=Path, metavar="DIR", help="a checkout of nanobind with its submodule")
    parser.add_argument("--site", type=Path, metavar="DIR", help="a folder with pytest in it")
    parser.add_argument("--work", type=Path, default=Path("work"), metavar="DIR", help="where builds and runs are kept")
    parser.add_argument("--python", type=Path, action="append", default=[], metavar="DIR", help="a built interpreter")
    arguments = parser.parse_args()
    for folder in arguments.python:
        interpreter = read_manifest(folder)
        if interpreter is None:
            parser.error(f"{folder} has no manifest.json")
        for part in PARTS:
            checkout = getattr(arguments, part.checkout)
            if checkout is not None:
                work = (arguments.work / f"{part.name}-{interpreter.key}").resolve()
                build(part, checkout.resolve(), interpreter, work)
                print(f"== {part.name}, {interpreter.toolchain}", flush=True)  # noqa: T201 -- the command's output
                run(part, interpreter, work, site=arguments.site)


def build(part: Part, checkout: Path, interpreter: Interpreter, work: Path) -> None:
    """Compile a part's programs and modules, and copy its scripts. Raises :class:`BuildError`."""
    work.mkdir(parents=True, exist_ok=True)
    for script in part.scripts:
        shutil.copy(checkout / script, work)
    for target in part.targets:
        ended = process.run(command(part, target, checkout, interpreter, work), timeout=COMPILE_SECONDS)
        if not ended.ok:
            raise BuildError(f"{part.name}: {target} does not compile: {ended.stderr.strip()}")


def command(part: Part, target: str, checkout: Path, interpreter: Interpreter, work: Path) -> list[str | Path]:
    """Return the compiler's command: of a module, or of the program that has the part's name."""
    library = interpreter.library
    linked = [f"-L{library.parent}", f"-Wl,-rpath,{library.parent}", f"-l:{library.name}"]
    program = target == part.name
    includes = [word for folder in part.includes for word in ("-I", checkout / folder)]
    return [
        *(interpreter.cxx, *FLAGS, *part.flags, "-isystem", interpreter.include, *includes),
        *(checkout / source for source in part.targets[target]),
        *(linked if program else ["-shared"]),
        *("-o", work / (target if program else f"{target}.so")),
    ]


def run(part: Part, interpreter: Interpreter, work: Path, *, site: Path | None) -> None:
    """Run a part's program, or its scripts with pytest, under ``run``."""
    tests = [Path(script).name for script in part.scripts if Path(script).name.startswith("test_")]
    program = work / part.name
    subject = (
        [str(program)] if program.is_file() else ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    )
    options = ["--python", str(interpreter.prefix), "--timeout", str(SECONDS), "--output", str(work / "runs")]
    paths = [str(work), *([str(site.resolve())] if site else [])]
    ended = process.run(
        # Isolated: the modules are of another Python than this one.
        [sys.executable, "-I", "-m", "python_tsan", "run", *options, "--", *subject],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        timeout=SECONDS + 120.0,
        cwd=work,
    )
    print(ended.stdout, flush=True)  # noqa: T201 -- the command's output


if __name__ == "__main__":
    main()
