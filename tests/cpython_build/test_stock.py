"""Finding a stock interpreter with a shared library."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_build import make_toolchain, settings_for

from python_tsan.binding import parse_binding
from python_tsan.console import make_console
from python_tsan.cpython.stock import ask, candidates, choose, find_stock


def make_python(prefix, version, **changes):
    """Write a program that describes itself as a Python would."""
    minor = ".".join(version.split(".")[:2])
    library, include = prefix / "lib" / f"libpython{minor}.so.1.0", prefix / "include" / f"python{minor}"
    for folder in (prefix / "bin", library.parent, include):
        folder.mkdir(parents=True, exist_ok=True)
    library.write_text(version)
    (include / "Python.h").touch()
    answer = {
        "version": version,
        "prefix": str(prefix),
        "executable": str(prefix / "bin" / f"python{minor}"),
        "shared": True,
        "library": str(library),
        "include": str(include),
        "free_threaded": False,
        "debug": False,
        **changes,
    }
    executable = prefix / "bin" / f"python{minor}"
    executable.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    executable.chmod(0o755)
    return executable


@pytest.fixture
def env(tmp_path):
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home"), "CONDA_PREFIX": str(tmp_path / "conda")}


def stock(prefix, version, **changes):
    return ask(make_python(prefix, version, **changes))


def test_a_real_python_describes_itself():
    found = ask(Path(sys.executable))
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert (found.include / "Python.h").name == "Python.h"


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho '{}'\n", "#!/bin/sh\necho [\n", "not a program"]
)
def test_what_does_not_answer_is_no_python(tmp_path, text):
    path = tmp_path / "python3.13"
    path.write_text(text)
    path.chmod(0o755)
    assert ask(path) is None


def test_newest_that_the_binding_supports(tmp_path):
    found = [
        stock(tmp_path / version, version) for version in ("3.10.1", "3.11.7", "3.12.1", "3.13.9", "3.13.10", "3.14.0")
    ]
    assert choose(found, newest=(3, 13)).version == "3.13.10"
    assert choose(found, newest=(3, 14)).version == "3.14.0"


def test_a_requested_minor_comes_first_and_is_not_required(tmp_path):
    found = [stock(tmp_path / version, version) for version in ("3.12.1", "3.13.0")]
    assert choose(found, newest=(3, 13), requested=(3, 12)).version == "3.12.1"
    assert choose(found, newest=(3, 13), requested=(3, 11)).version == "3.13.0"


@pytest.mark.parametrize(
    "change", [{"shared": False}, {"free_threaded": True}, {"library": "/none"}, {"include": "/none"}]
)
def test_unusable_ones_are_left_out(tmp_path, change):
    assert choose([stock(tmp_path / "p", "3.13.0", **change)], newest=(3, 13)) is None


def test_an_ordinary_build_is_preferred_to_a_debug_build(tmp_path):
    found = [stock(tmp_path / "a", "3.13.1", debug=True), stock(tmp_path / "b", "3.13.0")]
    assert choose(found, newest=(3, 13)).version == "3.13.0"


def test_places_are_searched_and_shims_are_not(env, tmp_path):
    on_path = make_python(tmp_path, "3.13.0")
    pyenv = make_python(tmp_path / "home" / ".pyenv" / "versions" / "3.12.1", "3.12.1")
    uv = make_python(tmp_path / "home" / ".local" / "share" / "uv" / "python" / "cpython-3.11", "3.11.9")
    conda = make_python(tmp_path / "conda", "3.11.8")
    shims = make_python(tmp_path / "shims-parent", "3.12.5").parent.rename(tmp_path / "shims")
    found = list(candidates({**env, "PATH": f"{shims}:{env['PATH']}"}))
    assert {on_path, pyenv, uv, conda} <= set(found)
    assert not any(path.parent == shims for path in found)


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "CONDA_PREFIX", "XDG_DATA_HOME"]
)
def test_a_folder_that_may_not_be_examined_holds_none(env, tmp_path, name):
    """As that of another user; a name that is too long has the same effect for root."""
    found = make_python(tmp_path, "3.13.0")
    unreadable = str(tmp_path / ("x" * 300))
    env[name] = f"{unreadable}:{env['PATH']}" if name == "PATH" else unreadable
    assert found in list(candidates(env))


def test_each_file_is_asked_once(env, tmp_path):
    real = make_python(tmp_path, "3.13.0")
    (real.parent / "python3").symlink_to(real)
    assert [path for path in candidates(env) if path.parent == real.parent] == [real]


def test_found_one_is_described_with_the_toolchain_of_the_harness(env, tmp_path, console, monkeypatch):
    monkeypatch.setattr(sys, "_base_executable", "/none")
    make_python(tmp_path, "3.13.0")
    toolchain = make_toolchain()
    found = find_stock(settings_for(tmp_path), toolchain=toolchain, console=console, env=env)
    assert (found.instrumented, found.version, found.toolchain) == (False, "3.13.0", "clang-19")
    assert found.key.startswith("stock-3.13.0-")
    assert "Stock CPython 3.13.0" in console.notes


@pytest.mark.parametrize(
    ("requested", "version"),
    [
        ({}, "3.13.0"),
        ({"python": "3.14.7"}, "3.14.0"),
        ({"python": "3.14.7", "binding": parse_binding("pybind11==2.13.6")}, "3.13.0"),
        ({"binding": parse_binding("pybind11==3.0.4")}, "3.14.0"),
    ],
)
def test_the_binding_that_will_be_used_decides_how_new_it_may_be(env, tmp_path, monkeypatch, requested, version):
    monkeypatch.setattr(sys, "_base_executable", "/none")
    for each in ("3.13.0", "3.14.0"):
        make_python(tmp_path, each)
    settings = replace(settings_for(tmp_path), **requested)
    quiet = make_console(quiet=True)
    found = find_stock(settings, toolchain=make_toolchain(), console=quiet, env=env)
    assert found.version == version


def test_the_absence_of_a_cache_is_reported(env, tmp_path, console, monkeypatch):
    monkeypatch.setattr(sys, "_base_executable", "/none")
    settings = settings_for(tmp_path)
    assert find_stock(settings, toolchain=make_toolchain(), console=console, env=env) is None
    assert "fast lane is left out" in console.notes
