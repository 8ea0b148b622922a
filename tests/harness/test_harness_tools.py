from __future__ import annotations

import io
import sysconfig
from pathlib import Path

import pytest

from python_tsan.console import Console
from python_tsan.errors import BuildError, UsageError
from python_tsan.harness import tools
from python_tsan.paths import Layout

MAKE_WHEEL = """
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/pybind11/include/pybind11" && echo "$3" > "$2/pybind11/include/pybind11/embed.h"
"""


@pytest.fixture
def layout(tmp_path):
    return Layout(root=tmp_path / "cache")


@pytest.fixture
def console():
    return Console(out=io.StringIO(), err=io.StringIO(), env={})


@pytest.fixture
def uv(tmp_path, monkeypatch):
    path = tmp_path / "uv"
    monkeypatch.setattr(tools, "find_uv", lambda: path)
    monkeypatch.setattr(tools, "_installed", lambda _: None)
    return path


def test_a_tool_beside_the_package_wins_over_path(tmp_path, monkeypatch, script):
    beside, other = tmp_path / "scripts", tmp_path / "bin"
    for folder in (beside, other):
        folder.mkdir()
        script(folder / "ninja", "true")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(beside))
    monkeypatch.setenv("PATH", str(other))
    assert tools.find_tool("ninja") == beside / "ninja"
    (beside / "ninja").unlink()
    assert tools.find_tool("ninja") == other / "ninja"


def test_a_missing_tool_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="cmake was not found") as raised:
        tools.find_tool("cmake")
    assert "python-tsan[verify]" in raised.value.advice


def test_the_installed_pybind11_serves_only_for_its_own_version(layout, console):
    pybind11 = pytest.importorskip("pybind11")
    include = tools.find_pybind11(pybind11.__version__, layout=layout, console=console)
    assert include == Path(pybind11.get_include())
    assert tools._installed("0.0.1") is None


def test_another_version_is_fetched_once(layout, console, uv, script):
    script(uv, MAKE_WHEEL)
    include = tools.find_pybind11("9.9", layout=layout, console=console)
    assert (include / "pybind11" / "embed.h").read_text() == "pybind11==9.9\n"
    script(uv, "exit 1")
    assert tools.find_pybind11("9.9", layout=layout, console=console) == include
    assert not any(layout.work.iterdir())


def test_a_version_that_cannot_be_had_is_a_build_error(layout, console, uv, script):
    script(uv, "echo no such version; exit 1")
    with pytest.raises(BuildError, match="no such version") as raised:
        tools.find_pybind11("9.9", layout=layout, console=console)
    assert raised.value.evidence is not None
    assert raised.value.evidence.is_file()
    assert not (layout.root / "tools" / "pybind11-9.9").exists()


def test_a_wheel_without_headers_is_a_build_error(layout, console, uv, script):
    script(uv, 'while [ "$1" != --target ]; do shift; done; mkdir -p "$2"')
    with pytest.raises(BuildError, match=r"holds no pybind11/embed\.h"):
        tools.find_pybind11("9.9", layout=layout, console=console)


@pytest.mark.parametrize("version", ["abc", "3", "2.13.x", "../2.13.6", "2.13.6 --index-url=x"])
def test_what_is_no_version_is_refused_before_anything_is_fetched(version, layout, console):
    with pytest.raises(UsageError, match="There is no pybind11"):
        tools.find_pybind11(version, layout=layout, console=console)
    assert not layout.root.exists()


def test_a_version_that_pypi_does_not_have_is_a_mistake_of_the_user(layout, console, script, tmp_path, monkeypatch):
    uv = tmp_path / "uv"
    script(uv, 'echo "  cause: Because there is no version of pybind11==9.9.9 and you require it" >&2; exit 1')
    monkeypatch.setattr(tools, "find_uv", lambda: uv)
    with pytest.raises(UsageError, match=r"There is no pybind11 9\.9\.9") as caught:
        tools.find_pybind11("9.9.9", layout=layout, console=console)
    assert caught.value.evidence.is_file()
