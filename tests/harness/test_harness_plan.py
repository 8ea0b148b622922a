from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.binding import parse_binding
from python_tsan.errors import ToolchainError
from python_tsan.harness.plan import hash_sources, plan_harness
from python_tsan.toolchain.model import Family


@pytest.fixture
def native(tmp_path):
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "CMakeLists.txt").write_text("project(x)\n")
    (tmp_path / "scenarios" / "one.cpp").write_text("int one;\n")
    return tmp_path


@pytest.fixture
def plan(native):
    def make(interpreter, toolchain, binding="pybind11==2.13.6"):
        return plan_harness(interpreter, toolchain=toolchain, binding=parse_binding(binding), native=native)

    return make


def test_equal_inputs_have_equal_keys(plan, interpreter, toolchain):
    assert plan(interpreter, toolchain).key == plan(interpreter, toolchain).key


@pytest.mark.parametrize(
    "change",
    [{"key": "other"}, {"library": Path("/elsewhere/libpython.so")}, {"executable": Path("/elsewhere/python")}],
)
def test_another_interpreter_has_another_key(plan, interpreter, toolchain, change):
    assert plan(interpreter, toolchain).key != plan(replace(interpreter, **change), toolchain).key


def test_another_binding_has_another_key(plan, interpreter, toolchain):
    names = ("pybind11==2.13.6", "pybind11==3.0.4", "nanobind==3.0.4", "nanobind==3.1.0")
    assert len({plan(interpreter, toolchain, name).key for name in names}) == len(names)


def test_another_runtime_or_compiler_has_another_key(plan, interpreter, toolchain):
    stock = replace(interpreter, instrumented=False)
    newer = replace(toolchain, candidate=replace(toolchain.candidate, version="19.1.7"))
    keys = {plan(stock, each).key for each in (toolchain, replace(toolchain, runtime_id="beef"), newer)}
    assert len(keys) == 3


def test_an_edited_added_or_renamed_source_has_another_key(plan, native, interpreter, toolchain):
    keys = [plan(interpreter, toolchain).key]
    (native / "scenarios" / "one.cpp").write_text("int two;\n")
    keys.append(plan(interpreter, toolchain).key)
    (native / "scenarios" / "two.cpp").write_text("int three;\n")
    keys.append(plan(interpreter, toolchain).key)
    (native / "scenarios" / "two.cpp").rename(native / "scenarios" / "three.cpp")
    keys.append(plan(interpreter, toolchain).key)
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    "folder", ["build/clang-fast", "companion", "golden", "preload/common", "preload/locks", "preload/tracer"]
)
def test_what_others_build_among_the_sources_is_no_source_of_the_harness(native, folder):
    before = hash_sources(native)
    (native / folder).mkdir(parents=True)
    (native / folder / "generated.cpp").write_text("int x;\n")
    (native / "notes.md").write_text("notes\n")
    assert hash_sources(native) == before
    assert set(before) == {"CMakeLists.txt", "scenarios/one.cpp"}


def test_the_lane_follows_the_interpreter_and_the_preset_the_family(plan, interpreter, toolchain):
    gcc = replace(toolchain, candidate=replace(toolchain.candidate, family=Family.GCC))
    assert plan(interpreter, toolchain).preset == "clang-full"
    assert plan(replace(interpreter, instrumented=False), gcc).preset == "gcc-fast"


def test_two_runtimes_in_one_process_are_refused(plan, interpreter, toolchain):
    with pytest.raises(ToolchainError, match="one process can hold only one") as raised:
        plan(interpreter, replace(toolchain, runtime_id="beef"))
    assert "--toolchain clang-19" in raised.value.advice


def test_a_stock_interpreter_goes_with_any_runtime(plan, interpreter, toolchain):
    stock = replace(interpreter, instrumented=False, runtime=None, runtime_id="")
    assert plan(stock, replace(toolchain, runtime_id="beef")).preset == "clang-fast"


def test_a_toolchain_without_a_cxx_compiler_is_refused(plan, interpreter, toolchain):
    with pytest.raises(ToolchainError, match=r"no C\+\+ compiler"):
        plan(interpreter, replace(toolchain, candidate=replace(toolchain.candidate, cxx=None)))
