from __future__ import annotations

import io
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.artifact import work_folder
from python_tsan.binding import BINDINGS, Binding, Library
from python_tsan.console import Console
from python_tsan.cpython.tools import find_tool
from python_tsan.errors import BuildError, UsageError
from python_tsan.harness import bindings
from python_tsan.paths import Layout

# The installer unpacks the requested packages, and names them in a file of the package.
MAKE_WHEEL = """
echo "$@" > "$(dirname "$0")/asked"
while [ "$1" != --requirements ]; do shift; done
requested=$2
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/pybind11/include/pybind11" "$2/nanobind/src"
cp "$requested" "$2/pybind11/include/pybind11/embed.h"
cp "$requested" "$2/nanobind/src/nb_combined.cpp"
"""
OTHER = Binding(library=Library.PYBIND11, version="9.9")


@pytest.fixture
def layout(tmp_path):
    return Layout(root=tmp_path / "cache")


@pytest.fixture
def console():
    return Console(out=io.StringIO(), err=io.StringIO(), env={})


def missing(name):
    raise bindings.metadata.PackageNotFoundError(name)


@pytest.fixture
def uv(tmp_path, monkeypatch):
    path = tmp_path / "uv"
    monkeypatch.setattr("python_tsan.cpython.tools.find_uv", lambda: path)
    monkeypatch.setattr(bindings.metadata, "distribution", missing)
    return path


def test_a_tool_next_to_the_package_wins_over_path(tmp_path, monkeypatch, script):
    beside, other = tmp_path / "scripts", tmp_path / "bin"
    for folder in (beside, other):
        folder.mkdir()
        script(folder / "ninja", "true")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(beside))
    monkeypatch.setenv("PATH", str(other))
    assert find_tool("ninja") == beside / "ninja"
    (beside / "ninja").unlink()
    assert find_tool("ninja") == other / "ninja"


def test_a_missing_tool_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="cmake was not found") as raised:
        find_tool("cmake")
    assert "python-tsan[verify]" in raised.value.advice


def test_the_installed_pybind11_serves_only_for_its_own_version(layout, console, monkeypatch):
    pybind11 = pytest.importorskip("pybind11")
    here = replace(OTHER, version=pybind11.__version__)
    assert bindings.find_binding(here, layout=layout, console=console) / "include" == Path(pybind11.get_include())

    def unreachable(*_, **__):
        raise BuildError("PyPI cannot be reached")

    monkeypatch.setattr(bindings, "install_tool", unreachable)
    with pytest.raises(BuildError, match="PyPI cannot be reached"):
        bindings.find_binding(replace(OTHER, version="0.0.1"), layout=layout, console=console)


def test_another_version_is_fetched_once(layout, console, uv, script):
    script(uv, MAKE_WHEEL)
    package = bindings.find_binding(OTHER, layout=layout, console=console)
    assert (package / "include" / "pybind11" / "embed.h").read_text() == "pybind11==9.9\n"
    assert "--require-hashes" not in (uv.parent / "asked").read_text().split()
    script(uv, "exit 1")
    assert bindings.find_binding(OTHER, layout=layout, console=console) == package
    assert not any(work_folder(layout).iterdir())


@pytest.mark.parametrize("binding", BINDINGS, ids=str)
def test_what_a_matrix_is_made_of_is_fetched_by_its_hash(layout, console, uv, script, binding):
    script(uv, MAKE_WHEEL)
    package = bindings.find_binding(binding, layout=layout, console=console)
    assert package.name == binding.library.value
    wanted = (package / bindings._NEEDED[binding.library]).read_text()
    assert f"\n{binding.requirement} \\\n    --hash=sha256:" in wanted
    assert "--require-hashes" in (uv.parent / "asked").read_text().split()


def test_a_version_that_is_unavailable_is_a_build_error(layout, console, uv, script):
    script(uv, "echo no such version; exit 1")
    with pytest.raises(BuildError, match="no such version") as raised:
        bindings.find_binding(OTHER, layout=layout, console=console)
    assert raised.value.evidence is not None
    assert raised.value.evidence.is_file()
    assert not (layout.root / "tools" / "pybind11-9.9").exists()


@pytest.mark.parametrize("library", Library)
def test_a_wheel_without_its_sources_is_a_build_error(layout, console, uv, script, library):
    script(uv, 'while [ "$1" != --target ]; do shift; done; mkdir -p "$2"')
    with pytest.raises(BuildError, match=r"contains no (include/pybind11/embed\.h|src/nb_combined\.cpp)"):
        bindings.find_binding(replace(OTHER, library=library), layout=layout, console=console)


def test_a_version_that_pypi_does_not_have_is_a_mistake_of_the_user(layout, console, script, uv):
    script(uv, 'echo "  cause: Because there is no version of pybind11==9.9 and you require it" >&2; exit 1')
    with pytest.raises(UsageError, match=r"there is no pybind11 9\.9") as caught:
        bindings.find_binding(OTHER, layout=layout, console=console)
    assert caught.value.evidence.is_file()
