"""Describe what a lane's checks run on: a harness and a toolchain, which earlier stages have built."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from python_tsan.checking.environment import SubjectEnvironment, compose_environment
from python_tsan.checking.subjects import LaneSetup
from python_tsan.cpython.build.inspection import is_instrumented
from python_tsan.cpython.environment import subject_environment
from python_tsan.cpython.known_races import known_races
from python_tsan.detect import locks
from python_tsan.expectation import Expectation, Lane
from python_tsan.harness.build import PRELOADS
from python_tsan.harness.cases import RECORDER
from python_tsan.imports.model.interpreter import CASES
from python_tsan.imports.outcomes import expectation_of
from python_tsan.version import numbers_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.harness.build import Harness
    from python_tsan.harness.registry import Scenario
    from python_tsan.toolchain.model import Toolchain

# PEP 684: sub-interpreters that do not share the main interpreter's GIL.
FIRST_OWN_GIL = (3, 12)
INSTRUMENTED_NUMPY = "instrumented-numpy"
BLIND_SPOTS = {
    Lane.FAST: "accesses inside libpython and numpy, which are not instrumented; free-threaded builds",
    Lane.FULL: "accesses inside numpy and other binary wheels, which are not instrumented",
}


def blind_spot(setup: LaneSetup) -> str:
    """Say what the checks of a lane cannot see."""
    if INSTRUMENTED_NUMPY in setup.available:
        return "accesses inside other binary wheels than numpy, which are not instrumented"
    return BLIND_SPOTS[setup.lane]


def lane_setup(
    harness: Harness,
    *,
    toolchain: Toolchain,
    folder: Path,
    base: Mapping[str, str],
    jobs: int,
    repeats: int | None = None,
    recorder: Path | None = None,
) -> tuple[LaneSetup, SubjectEnvironment]:
    """Return the setup of the lane that ``harness`` belongs to, and the environment its subjects get.

    ``base`` is the caller's environment, ``folder`` receives a folder for each subject. ``recorder`` is the library
    that records locks, None where it could not be built.
    """
    interpreter = harness.interpreter
    environment = compose_environment(subject_environment(interpreter, base), toolchain=toolchain)
    # gcc's runtime is a shared library of the program.
    shared = recorder and interpreter.instrumented and ".so" in toolchain.runtime.suffixes
    preloads = {need: harness.executable.parent / name for need, name in PRELOADS.items()}
    setup = LaneSetup(
        lane=Lane.FULL if interpreter.instrumented else Lane.FAST,
        executable=harness.executable,
        scenarios=harness.scenarios,
        folder=folder,
        variables=environment.variables,
        expected=partial(expectation_for, interpreter=interpreter),
        available=frozenset([*_capabilities(interpreter), *([RECORDER] if recorder else ())]),
        launcher=toolchain.launcher,
        jobs=jobs,
        repeats=repeats,
        preloads={need: path for need, path in preloads.items() if path.is_file()},
        packages=CASES,
        # None is seen inside a Python that is not instrumented.
        known_races=known_races(interpreter.version, free_threaded=interpreter.free_threaded)
        if interpreter.instrumented
        else (),
        recording=locks.preload(recorder, str(toolchain.runtime) if shared else "", environment.variables)
        if recorder
        else {},
    )
    return setup, environment


def expectation_for(scenario: Scenario, *, interpreter: Interpreter) -> Expectation | None:
    """Return what a scenario must show: its own word for this kind of build, or by version where imports are concerned.

    None where that version has not been measured.
    """
    if not scenario.case:
        without_gil = scenario.expect_free_threaded if interpreter.free_threaded else None
        return without_gil or scenario.expect
    return expectation_of(scenario.case, numbers_of(interpreter.version), free_threaded=interpreter.free_threaded)


def installed_version(interpreter: Interpreter, package: str) -> str:
    """Return the version of a package in the interpreter's own site-packages, empty if it is not there."""
    for site in interpreter.prefix.glob("lib/python3.*/site-packages"):
        for record in site.glob(f"{package}-*.dist-info"):
            return record.name.removeprefix(f"{package}-").removesuffix(".dist-info")
    return ""


def _capabilities(interpreter: Interpreter) -> list[str]:
    numpy = ["numpy"] if installed_version(interpreter, "numpy") else []
    own_gil = ["own_gil"] if numbers_of(interpreter.version) >= FIRST_OWN_GIL else []
    core = interpreter.prefix.glob("lib/python3.*/site-packages/numpy/_core/_multiarray_umath*.so")
    inside = [INSTRUMENTED_NUMPY] if any(map(is_instrumented, core)) else []
    return [*numpy, *inside, *own_gil, "free_threading" if interpreter.free_threaded else "gil"]
