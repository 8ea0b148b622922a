"""The harness compiled with nanobind, in the fast lane: the same scenarios, and what nanobind alone shows."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from listed import find_scenario

from python_tsan.binding import parse_binding
from python_tsan.expectation import Outcome
from python_tsan.paths import native_folder

pytestmark = [pytest.mark.compiler, pytest.mark.slow, pytest.mark.timeout(600)]

ENVIRONMENT = os.environ | {"DEBUGINFOD_URLS": "", "TSAN_OPTIONS": "exitcode=66"}
NANOBIND = parse_binding("nanobind")
GUARD = "            const py::gil_scoped_acquire gil;\n            increment_under_ft_mutex();"


@pytest.fixture(scope="module")
def harness(build_real):
    pytest.importorskip("nanobind")
    return build_real(NANOBIND)


@pytest.fixture
def run(harness, real_toolchain):
    def ran(name, program=harness.executable):
        command = [*real_toolchain.launcher, program, "run", name]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)

    return ran


def own(scenarios):
    """Return the names of what is not common to all bindings."""
    return {scenario.name for scenario in scenarios if "/scenarios/nanobind/" in scenario.file}


def test_what_is_common_is_the_same_and_expects_the_same(harness, build_real):
    of_pybind11 = {scenario.name: scenario for scenario in build_real().scenarios}
    for scenario in harness.scenarios:
        if scenario.name not in own(harness.scenarios):
            assert scenario == of_pybind11[scenario.name]
    names = {scenario.name for scenario in harness.scenarios}
    assert {"counter_guarded", "imports_cold_window", "embed_test", "initialize_finalize"} <= names
    assert of_pybind11.keys() - names == set()


def test_what_is_nanobinds_alone_has_its_name_and_twin(harness):
    for name in own(harness.scenarios):
        scenario = find_scenario(harness.scenarios, name)
        assert scenario.group == "nanobind" or name.startswith("object_copied_")
        assert scenario.twin


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("counter_guarded", 0),
        ("counter_unguarded", 66),
        ("initialize_finalize", 0),
        ("nested_acquire", 0),
        ("safe_import_many_threads", 0),
        ("nanobind_ft_mutex", 0),
        ("nanobind_ft_mutex_alone", 66),
        ("nanobind_lock_self", 0),
        ("nanobind_no_leak", 0),
    ],
)
def test_a_scenario_ends_as_it_says(run, harness, name, code):
    assert find_scenario(harness.scenarios, name).expect.outcome is (Outcome.RACE if code else Outcome.CLEAN)
    assert run(name).returncode == code


def test_leaks_are_reported_on_standard_error(run):
    said = run("nanobind_leak").stderr
    assert "nanobind: leaked 2 instances!" in said
    assert said.count('of type "__main__.Ticket"') == 2


def test_nanobind_ends_a_process_that_copies_an_object_without_the_gil(run, harness):
    expected = find_scenario(harness.scenarios, "object_copied_unguarded").expect
    ended = run("object_copied_unguarded")
    assert expected.outcome is Outcome.CRASH
    assert ended.returncode != 0
    assert "attempted to change the reference count of a Python object" in ended.stderr


def test_without_its_guard_the_ft_mutex_guards_nothing(run, build_real, tmp_path, monkeypatch):
    native = tmp_path / "native"
    shutil.copytree(native_folder(), native)
    source = native / "scenarios" / "nanobind" / "locks.cpp"
    whole = source.read_text()
    assert whole.count(GUARD) == 1
    source.write_text(whole.replace(GUARD, GUARD.splitlines()[1]))
    monkeypatch.setattr("python_tsan.harness.build.native_folder", lambda: native)
    ended = run("nanobind_ft_mutex", build_real(NANOBIND).executable)
    assert ended.returncode == 66
    assert "g_ft_mutex_counter" in ended.stderr
