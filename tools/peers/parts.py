"""List what is compiled and run of the binding libraries' own tests."""

from __future__ import annotations

from dataclasses import dataclass, field

CATCH = "tests/test_with_catch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One run: ``targets`` are modules with their sources, and the program if one has the part's name.

    ``checkout`` names the option with the checkout, which all paths are relative to.
    """

    name: str
    checkout: str
    targets: dict[str, tuple[str, ...]]
    includes: tuple[str, ...]
    flags: tuple[str, ...] = ()
    scripts: tuple[str, ...] = field(default=())


PARTS = (
    Part(
        name="pybind11-threads",
        checkout="pybind11",
        targets={"pybind11_tests": ("tests/pybind11_tests.cpp", "tests/test_thread.cpp")},
        includes=("include",),
        scripts=("tests/conftest.py", "tests/env.py", "tests/test_thread.py"),
    ),
    Part(
        name="pybind11-embed",
        checkout="pybind11",
        targets={
            "pybind11-embed": tuple(
                f"{CATCH}/{name}.cpp" for name in ("catch", "test_interpreter", "test_subinterpreter")
            ),
            "external_module": (f"{CATCH}/external_module.cpp",),
        },
        includes=("include",),
        flags=("-I/usr/include/catch2",),
        scripts=(f"{CATCH}/test_interpreter.py", f"{CATCH}/test_trampoline.py"),
    ),
    Part(
        name="nanobind-threads",
        checkout="nanobind",
        targets={"test_thread_ext": ("src/nb_combined.cpp", "tests/test_thread.cpp")},
        includes=("include", "ext/robin_map/include"),
        flags=("-fno-strict-aliasing",),
        scripts=("tests/conftest.py", "tests/common.py", "tests/test_thread.py"),
    ),
)
