"""Prepare CPython's own tests for a built interpreter: which ones are for ThreadSanitizer, and what they need.

The build leaves out the package ``test`` and the extension modules that only tests use. Both are added here when they
are needed, outside the interpreter's prefix, in a virtual environment of their own. Running tests is left to others.
"""

from __future__ import annotations

import ast
import re
import shutil
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import discard, exclusive, writable
from python_tsan.cpython.diagnosis import run_step

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.paths import Layout

COMPILE_SECONDS = 600.0
# @MODULE__TESTBUFFER_TRUE@_testbuffer _testbuffer.c
_SETUP_LINE = re.compile(
    r"^@MODULE_\w+_TRUE@(?P<name>_test\w+|_ctypes_test|_xxtestfuzz|xx\w+) (?P<sources>.+)$", re.MULTILINE
)


class Selection(Enum):
    """Upstream's choices of tests, by the names of their lists: ``-m test --tsan`` and ``--tsan-parallel``."""

    THREADED = "TSAN_TESTS"
    PARALLEL = "TSAN_PARALLEL_TESTS"

    @property
    def option(self) -> str:
        """The option of ``-m test`` that runs them."""
        return {Selection.THREADED: "--tsan", Selection.PARALLEL: "--tsan-parallel"}[self]

    @property
    def since(self) -> str:
        """The first version that has it."""
        return {Selection.THREADED: "3.12.3", Selection.PARALLEL: "3.14"}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteHome:
    """Where CPython's own tests can be run: a Python, and upstream's suppressions for its kind of build."""

    python: Path
    suppressions: Path | None


def selected_tests(tree: Path, selection: Selection) -> tuple[str, ...]:
    """Return the tests that a source tree selects; none before the version that brought the selection."""
    try:
        text = tree.joinpath("Lib", "test", "libregrtest", "tsan.py").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(getattr(name, "id", "") == selection.value for name in node.targets):
            return tuple(ast.literal_eval(node.value))
    return ()


def files_of_test(tree: Path, test: str) -> tuple[Path, ...]:
    """Return the files of a test such as ``test_queue`` or ``test_capi.test_mem``; none if there is no such test."""
    place = tree.joinpath("Lib", "test", *test.split("."))
    if place.is_dir():
        return tuple(sorted(place.rglob("*.py")))
    return (place.with_suffix(".py"),) if place.with_suffix(".py").is_file() else ()


def needed_modules(tree: Path, tests: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the extension modules that these tests name, each with its C files below ``Modules``."""
    setup = tree.joinpath("Modules", "Setup.stdlib.in").read_text(encoding="utf-8")
    known = {match["name"]: tuple(match["sources"].split()) for match in _SETUP_LINE.finditer(setup)}
    texts = [file.read_text(encoding="utf-8", errors="replace") for test in tests for file in files_of_test(tree, test)]
    words = set().union(*(set(re.findall(r"\b\w+\b", text)) for text in texts))
    return {name: sources for name, sources in known.items() if name in words}


def prepare_tests(
    interpreter: Interpreter, tree: Path, tests: Iterable[str], *, jobs: int, layout: Layout, console: Console
) -> SuiteHome:
    """Make the environment for these tests, building the extension modules that are not there yet.

    Raises ``BuildError`` with the end of the compiler's output when one cannot be built.
    """
    folder = layout.root / "own-tests" / interpreter.key
    site = writable(replace(interpreter, prefix=folder).standard_library / "site-packages")
    with exclusive(layout, f"own-tests-{interpreter.key}", console):
        # What makes a virtual environment: children of a test, isolated ones too, then find its packages.
        python = writable(folder / "bin") / "python3"
        if not python.is_symlink():
            python.symlink_to(interpreter.executable)
        home = f"home = {interpreter.executable.parent}\ninclude-system-site-packages = false\n"
        (folder / "pyvenv.cfg").write_text(home, encoding="utf-8")
        _copy_tests(tree / "Lib" / "test", site / "test")
        for name, sources in needed_modules(tree, tests).items():
            if not (site / f"{name}.so").is_file():
                console.note(f"Building {name}, which only tests use")
                _build_module(interpreter, tree, name, sources, site=site, jobs=jobs, layout=layout)
    kind = "suppressions_free_threading.txt" if interpreter.free_threaded else "suppressions.txt"
    suppressions = tree / "Tools" / "tsan" / kind
    return SuiteHome(python=python, suppressions=suppressions if suppressions.is_file() else None)


def _copy_tests(tests: Path, package: Path) -> None:
    """Copy the package, 33 MB, under its name once it is whole.

    Its byte-code is then stored with it, and the source stays as it was checked. A link with PYTHONPYCACHEPREFIX would
    do that too, but tests of importlib fail with that variable.
    """
    if package.is_dir() and not package.is_symlink():
        return
    partial = package.with_name("test~")
    discard(partial)
    shutil.copytree(tests, partial, symlinks=True)
    package.unlink(missing_ok=True)  # earlier versions put a link there
    partial.rename(package)


def _build_module(
    interpreter: Interpreter, tree: Path, name: str, sources: tuple[str, ...], *, site: Path, jobs: int, layout: Layout
) -> None:
    """Compile a module with the flags of its interpreter, and give it its name when it is complete."""
    work = writable(layout.work) / f"own-tests-{interpreter.key}-{name}"
    discard(work)
    writable(work)
    flags = interpreter.flags
    # The installed headers come first: pyconfig.h is there alone, and the others are the same.
    includes = [f"-I{path}" for path in (interpreter.include, tree / "Include", tree / "Include" / "internal")]
    compiler = [str(interpreter.cc), *flags["cflags"].split(), flags["sanitizer"], "-w", "-fPIC"]

    def compile_one(source: str) -> Path:
        output = work / f"{source.replace('/', '-')}.o"
        command: list[str | Path] = [*compiler, *includes, "-c", tree / "Modules" / source, "-o", output]
        run_step(f"compile {name}", command, output.with_suffix(".log"), timeout=COMPILE_SECONDS)
        return output

    objects = process.in_parallel(compile_one, sources, jobs=jobs)
    made = work / f"{name}.so"
    command: list[str | Path] = [*compiler, *flags["ldflags"].split(), "-shared", *objects, "-o", made]
    run_step(f"link {name}", command, made.with_suffix(".log"), timeout=COMPILE_SECONDS)
    made.replace(site / made.name)
    shutil.rmtree(work)
