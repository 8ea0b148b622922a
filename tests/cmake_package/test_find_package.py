"""Finding the package: versions, components, the interpreter, and the messages if something is missing."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from python_tsan import __version__
from python_tsan.cli.cmake_dir import PACKAGE
from python_tsan.cli.main import main
from python_tsan.cpython.plan import KEPT_CALLS
from python_tsan.cpython.tools import find_tool
from python_tsan.paths import native_folder
from python_tsan.toolchain.model import Family

ROOT = Path(__file__).parents[2]
FIND = 'find_package(python_tsan CONFIG {} COMPONENTS {})\nmessage(STATUS "found=${{python_tsan_FOUND}}")\n'


def test_cmake_dir_prints_the_folder(capsys):
    assert main(["cmake-dir"]) == 0
    assert capsys.readouterr().out == f"{native_folder() / PACKAGE}\n"


def test_the_version_is_the_python_packages():
    text = (native_folder() / PACKAGE / "python_tsan-config-version.cmake").read_text()
    assert re.search(r'^set\(PACKAGE_VERSION "(.+)"\)$', text, re.MULTILINE)[1] == __version__


@pytest.mark.parametrize("wanted", ["", "0", "0.1", "0.1.0", "0.1.0 EXACT", "0.1...<0.2", "0.0.9...0.1", "0.1...0.1.0"])
def test_versions_that_serve(configure, wanted):
    assert "found=1" in configure(FIND.format(wanted, "headers")).text


@pytest.mark.parametrize("wanted", ["0.2", "0.1.1", "0.0", "1", "1.0", "0.1.1 EXACT", "0.2...0.3", "0.0.1...<0.1.0"])
def test_versions_that_do_not(configure, wanted):
    done = configure(FIND.format(wanted, "headers"))
    assert "found=0" in done.text
    assert f"version: {__version__}" in done.text


def test_headers_need_neither_program_nor_interpreter(configure, tmp_path):
    where = "get_target_property(where python_tsan::headers INTERFACE_INCLUDE_DIRECTORIES)\nmessage(STATUS ${where})\n"
    done = configure(FIND.format("REQUIRED", "headers") + where, path=tmp_path)
    assert done.code == 0, done.text
    assert f"-- {native_folder() / 'include'}" in done.text


def test_an_unknown_component_is_named(configure):
    done = configure(FIND.format("REQUIRED", "colours"))
    assert done.code == 1
    assert "there is no component colours; there are: headers, sanitizer, instrumented, check" in done.flat


def test_without_components_everything_is_loaded(configure, tmp_path):
    done = configure("find_package(python_tsan REQUIRED)\n", path=tmp_path)
    assert done.code == 1
    assert "the program python-tsan was not found; install the wheel" in done.flat


def test_what_is_optional_may_be_missing(configure, program):
    lines = "find_package(python_tsan REQUIRED COMPONENTS headers OPTIONAL_COMPONENTS instrumented)\n"
    show = 'message(STATUS "there=${python_tsan_instrumented_FOUND}")\n'
    done = configure(lines + show, program("python-tsan: error: not built", code=6))
    assert done.code == 0, done.text
    assert "python_tsan: no instrumented: python-tsan: error: not built" in done.flat
    assert "there=FALSE" in done.text


def test_the_program_s_error_is_shown(configure, program):
    words = "python-tsan: error: CPython under ThreadSanitizer is not built yet\n  what to do: `python-tsan build`"
    done = configure("find_package(python_tsan REQUIRED)\n", program(words, code=6))
    assert done.code == 1
    assert "CPython under ThreadSanitizer is not built yet what to do: `python-tsan build`" in done.flat


def test_the_interpreter_is_asked_for_once(configure, program, manifest):
    asked = program(manifest(instrumented=False).read_text())
    path = manifest().parent / "python-tsan"
    path.write_text(path.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\necho $* >>{path}.log\n"))
    lines = "find_package(python_tsan REQUIRED)\nfind_package(python_tsan REQUIRED)\n"
    done = configure(lines, asked, "-DPYTHON_TSAN_LANE=fast")
    assert done.code == 0, done.text
    assert (path.parent / "python-tsan.log").read_text() == "interpreter --quiet --lane fast\n"


@pytest.mark.parametrize("field", ["library", "version", "instrumented"])
def test_a_description_that_is_not_whole(configure, manifest, field):
    path = manifest(**{field: None})
    done = configure("find_package(python_tsan REQUIRED)\n", f"-DPYTHON_TSAN_MANIFEST={path}")
    assert done.code == 1
    assert f"the description of the interpreter has no {field}" in done.flat


def test_a_manifest_that_is_not_there(configure):
    done = configure("find_package(python_tsan REQUIRED)\n", "-DPYTHON_TSAN_MANIFEST=/nowhere/manifest.json")
    assert "PYTHON_TSAN_MANIFEST=/nowhere/manifest.json does not exist" in done.flat


@pytest.mark.compiler
def test_another_compiler_than_the_interpreters_is_refused(configure, manifest):
    options = (f"-DPYTHON_TSAN_MANIFEST={manifest()}", "-DPYTHON_TSAN_COMMAND=/bin/true")
    done = configure("find_package(python_tsan REQUIRED)\n", *options, languages="CXX")
    assert done.code == 1
    assert re.search(r"CPython 3.13.5 was built with clang-99, and \S+ is (gcc|clang)-\d+; one process", done.flat)
    assert "-DCMAKE_CXX_COMPILER=/nowhere/clang++-99" in done.flat


def test_it_is_found_where_cmake_has_installed_it(configure, tmp_path):
    build, prefix = tmp_path / "install-build", tmp_path / "prefix"
    cmake = str(find_tool("cmake"))
    configured = [cmake, "-S", str(native_folder()), "-B", str(build), "-DPYTHON_TSAN_HARNESS=OFF"]
    done = subprocess.run(configured, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    subprocess.run([cmake, "--install", str(build), "--prefix", str(prefix)], check=True, capture_output=True)
    found = configure(FIND.format("REQUIRED", "headers"), f"-DCMAKE_PREFIX_PATH={prefix}", package=None, path=tmp_path)
    assert found.code == 0, found.text
    cache = (found.build / "CMakeCache.txt").read_text()
    assert f"python_tsan_DIR:PATH={prefix}/share/cmake/python_tsan" in cache
    ours = (native_folder() / "include" / "python_tsan").glob("*.hpp")
    assert {path.name for path in prefix.glob("include/python_tsan/*.hpp")} == {path.name for path in ours}


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("compiler", "options"),
    [("clang++-19", "-fno-vectorize -fno-slp-vectorize"), ("g++-12", KEPT_CALLS[Family.GCC])],
)
def test_what_a_compiler_would_not_instrument_is_not_made(configure, tmp_path, compiler, options):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "spam.cpp").write_text("int main() {}\n")
    lines = (
        "find_package(python_tsan CONFIG REQUIRED COMPONENTS sanitizer)\n"
        "add_executable(spam spam.cpp)\ntarget_link_libraries(spam PRIVATE python_tsan::sanitizer)\n"
    )
    made = configure(lines, f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", languages="CXX")
    assert made.code == 0, made.text
    (command,) = json.loads((made.build / "compile_commands.json").read_text())
    given = command["command"].split()
    assert [option for option in given if option.startswith("-fno-") and "frame" not in option] == options.split()


@pytest.mark.compiler
def test_the_lines_for_nanobind_instrument_it_as_a_whole(configure, tmp_path):
    nanobind = pytest.importorskip("nanobind")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        pytest.skip("this Python has no headers")
    page = (ROOT / "docs" / "bindings.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```cmake\n(.*?)```", page, re.DOTALL)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "spam.cpp").write_text("#include <nanobind/nanobind.h>\n")
    packages = (
        "find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)\n"
        "find_package(nanobind CONFIG REQUIRED)\n"
        "find_package(python_tsan CONFIG REQUIRED COMPONENTS headers sanitizer)\n"
    )
    options = (f"-Dnanobind_DIR={nanobind.cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}")
    made = configure(packages + lines, *options, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", languages="CXX")
    assert made.code == 0, made.text
    commands = json.loads((made.build / "compile_commands.json").read_text())
    assert {Path(each["file"]).name for each in commands} >= {"spam.cpp", "nb_internals.cpp"}
    assert [each["file"] for each in commands if "-fsanitize=thread" not in each["command"].split()] == []
