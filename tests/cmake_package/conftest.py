"""Configure small projects that use the CMake package."""

import json
import os
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from python_tsan.cli.cmake_dir import PACKAGE
from python_tsan.cpython.tools import find_tool
from python_tsan.paths import native_folder

PACKAGE_FOLDER = native_folder() / PACKAGE
# The program of this environment comes first.
PATH = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
HEAD = "cmake_minimum_required(VERSION 3.25)\nproject(user LANGUAGES {languages})\n"


@dataclass(kw_only=True)
class Configured:
    """What CMake printed. ``build`` is its folder; ``flat`` is the text without CMake's line breaks."""

    code: int
    text: str
    build: Path

    @property
    def flat(self):
        return " ".join(self.text.split())


@pytest.fixture
def configure(tmp_path):
    """Return a function that configures a project with the given lines; ``options`` are CMake's own."""

    def run(lines, *options, languages="NONE", package=PACKAGE_FOLDER, path=PATH):
        source, build = tmp_path / "source", tmp_path / "build"
        source.mkdir(exist_ok=True)
        (source / "CMakeLists.txt").write_text(HEAD.format(languages=languages) + lines)
        place = [f"-Dpython_tsan_DIR={package}"] if package else []
        ninja = ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja')}")
        command = [find_tool("cmake"), "-S", source, "-B", build, *ninja, *place, *options]
        env = {**os.environ, "PATH": str(path)}
        done = subprocess.run(
            [str(word) for word in command], env=env, capture_output=True, text=True, check=False, timeout=100
        )
        return Configured(code=done.returncode, text=done.stdout + done.stderr, build=build)

    return run


@pytest.fixture
def program(tmp_path):
    """Return a function that makes a fake python-tsan, with this output and exit code."""

    def make(text="", *, code=0):
        path = tmp_path / "python-tsan"
        path.write_text(f"#!/bin/sh\ncat <<'END'{' >&2' if code else ''}\n{text}\nEND\nexit {code}\n")
        path.chmod(0o755)
        return f"-DPYTHON_TSAN_COMMAND={path}"

    return make


@pytest.fixture
def manifest(tmp_path):
    """Return a function that writes a description of an interpreter which is nowhere built."""

    def make(**changes):
        facts = {
            "library": "/nowhere/lib/libpython3.13d.so.1.0",
            "include": str(tmp_path),
            "executable": "/nowhere/bin/python3.13",
            "prefix": "/nowhere",
            "version": "3.13.5",
            "toolchain": "clang-99",
            "instrumented": True,
            "cc": "/nowhere/clang-99",
            "cxx": "/nowhere/clang++-99",
            **changes,
        }
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps({name: value for name, value in facts.items() if value is not None}))
        return path

    return make


@pytest.fixture
def package_folder():
    return PACKAGE_FOLDER
