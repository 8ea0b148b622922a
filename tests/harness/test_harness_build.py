from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from python_tsan.artifact import work_folder
from python_tsan.binding import parse_binding
from python_tsan.errors import BuildError
from python_tsan.harness.build import RECORD_NAME, build_harness


@pytest.fixture
def build(fake_native, interpreter, toolchain):
    def make(of=interpreter, **changes):
        return build_harness(
            of,
            replace(fake_native.settings, **changes),
            toolchain=toolchain,
            layout=fake_native.layout,
            console=fake_native.console,
        )

    return make


def test_the_harness_that_was_built_is_returned(build, fake_native, interpreter):
    harness = build()
    assert harness.executable.parent == fake_native.layout.harnesses / harness.key
    assert [scenario.name for scenario in harness.scenarios] == ["one", "deadlocks_held"]
    assert harness.interpreter is interpreter


def test_configuration_is_by_preset_and_manifest(build, fake_native):
    build()
    configure = fake_native.calls.read_text().splitlines()[0]
    assert "--preset clang-full" in configure
    assert "-DCMAKE_CXX_COMPILER=/usr/bin/clang++-19" in configure
    assert "/manifest.json" in configure
    assert fake_native.builds() == 1


@pytest.mark.parametrize(
    ("version", "binding", "used"),
    [("3.13.5", None, "pybind11 2.13.6"), ("3.14.7", None, "pybind11 3.0.4"), ("3.14.7", "nanobind", "nanobind 3.1.0")],
)
def test_a_binding_that_knows_the_interpreter_is_chosen_if_none_is_named(build, interpreter, version, binding, used):
    harness = build(of=replace(interpreter, version=version), binding=binding and parse_binding(binding))
    assert str(harness.binding) == used


@pytest.mark.parametrize(("version", "warned"), [("3.13.5", False), ("3.14.7", True)])
def test_a_cpython_that_the_binding_does_not_support_is_a_warning(build, fake_native, interpreter, version, warned):
    build(of=replace(interpreter, version=version), binding=parse_binding("pybind11==2.13.6"))
    assert ("pybind11 2 supports CPython up to 3.13" in fake_native.spoken.getvalue()) is warned


def test_the_second_run_does_nothing_and_says_why(build, fake_native):
    first = build()
    assert build() == first
    assert fake_native.builds() == 1
    assert "up to date" in fake_native.spoken.getvalue()


def test_refresh_builds_again(build, fake_native):
    build()
    build(refresh=True)
    assert fake_native.builds() == 2


def test_an_edited_source_builds_again_and_keeps_the_older_build(build, fake_native):
    first = build()
    (fake_native.native / "scenarios" / "one.cpp").write_text("int two;\n")
    second = build()
    assert second.key != first.key
    assert first.executable.exists()
    assert fake_native.builds() == 2


@pytest.mark.parametrize("damage", ["missing", "truncated", "other key", "no program", "no preload"])
def test_a_build_that_is_not_whole_is_made_again(build, fake_native, damage):
    harness = build()
    record = harness.executable.parent / RECORD_NAME
    match damage:
        case "missing":
            record.unlink()
        case "truncated":
            record.write_bytes(record.read_bytes()[:40])
        case "other key":
            record.write_text(record.read_text().replace(harness.key, "0" * 20))
        case "no program":
            harness.executable.unlink()
        case "no preload":
            next(harness.executable.parent.glob("*.so")).unlink()
    assert build() == harness
    assert fake_native.builds() == 2
    assert harness.executable.exists()


def test_a_failed_step_shows_the_end_of_its_log(build, fake_native):
    fake_native.set_cmake("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo error $i.; done; false")
    with pytest.raises(BuildError, match=r"error 12\.") as raised:
        build()
    assert "error 1." not in raised.value.message
    assert "error 1." in raised.value.evidence.read_text()
    assert not fake_native.layout.harnesses.exists()


def test_a_program_that_does_not_start_is_a_build_error(build, fake_native):
    fake_native.program = "#!/bin/sh\necho FATAL: ThreadSanitizer: unexpected memory mapping >&2; exit 66\n"
    fake_native.set_cmake("true")
    with pytest.raises(BuildError, match="unexpected memory mapping"):
        build()


def test_a_list_that_contradicts_itself_is_never_installed(build, fake_native, entry):
    fake_native.listing.write_text(json.dumps([entry(twin="nobody")]))
    with pytest.raises(BuildError, match="'nobody', which is not listed"):
        build()
    assert not fake_native.layout.harnesses.exists()


def test_a_source_edited_during_the_build_is_refused(build, fake_native):
    fake_native.set_cmake(f"echo changed >> {fake_native.native}/scenarios/one.cpp")
    with pytest.raises(BuildError, match=r"changed during the build: scenarios/one\.cpp"):
        build()
    assert not fake_native.layout.harnesses.exists()


def test_what_a_killed_build_left_is_no_obstacle(build, fake_native):
    harness = build()
    left = work_folder(fake_native.layout) / f"harness-{harness.key}" / "build"
    left.mkdir(parents=True)
    (left / "half.o").touch()
    build(refresh=True)
    assert not left.exists()


def test_flags_from_the_environment_stay_out(build, fake_native, monkeypatch):
    monkeypatch.setenv("CXXFLAGS", "-O3")
    fake_native.set_cmake(f'echo "flags=[$CXXFLAGS]" >> {fake_native.calls}')
    build()
    assert "flags=[]" in fake_native.calls.read_text()


def test_two_runs_at_once_share_one_build(build, fake_native):
    fake_native.set_cmake("sleep 0.3")
    found = []
    threads = [threading.Thread(target=lambda: found.append(build())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake_native.builds() == 1
    assert found[0] == found[1]
