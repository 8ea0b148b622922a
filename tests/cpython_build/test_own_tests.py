"""CPython's own tests in an environment of their own: which are selected, what they need, and their modules."""

from __future__ import annotations

import dataclasses
import io
import shutil
import stat
from pathlib import Path

import pytest
from fake_build import RECORD, describe, make_toolchain, settings_for

from python_tsan.console import Console
from python_tsan.cpython.own_tests import Selection, files_of_test, needed_modules, prepare_tests, selected_tests
from python_tsan.cpython.planning import make_plan
from python_tsan.errors import BuildError
from python_tsan.paths import Layout

SETUP = """\
@MODULE__ASYNCIO_TRUE@_asyncio _asynciomodule.c
@MODULE__TESTBUFFER_TRUE@_testbuffer _testbuffer.c
@MODULE__TESTCAPI_TRUE@_testcapi _testcapimodule.c _testcapi/mem.c
# a comment with _testclinic
@MODULE__TESTCLINIC_TRUE@_testclinic _testclinic.c
"""
TSAN = """\
# chosen because they use threads
TSAN_TESTS = [
    'test_queue',
    'test_capi.test_mem',  # GH-116908
]
TSAN_PARALLEL_TESTS = ['test_abc']

def setup_tsan_tests(cmdline_args):
    TSAN_TESTS[:] = []
"""
COMPILER = """#!/bin/sh
echo "$@" >> {calls}
for last; do :; done
case "$@" in *broken*) echo "broken.c:1:2: error: no"; exit 1;; esac
echo made > "$last"
"""


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "source"
    for name, text in {
        "Lib/test/libregrtest/tsan.py": TSAN,
        "Lib/test/test_queue.py": "import threading\n",
        "Lib/test/test_capi/__init__.py": "",
        "Lib/test/test_capi/test_mem.py": "_testcapi = import_helper.import_module('_testcapi')\n",
        "Lib/test/test_buffer.py": "from _testbuffer import *\nimport _asyncio\n",
        "Modules/Setup.stdlib.in": SETUP,
        "Modules/_testcapimodule.c": "",
        "Tools/tsan/suppressions.txt": "race:x\n",
    }.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.fixture
def interpreter(tmp_path):
    plan = make_plan(settings_for(tmp_path), RECORD, make_toolchain(), libc="glibc-2.36")
    staged = tmp_path / "prefix"
    (staged / "bin").mkdir(parents=True)
    (staged / "bin" / "python3.13").touch()
    compiler = tmp_path / "cc"
    compiler.write_text(COMPILER.format(calls=tmp_path / "calls"))
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    built = describe(plan, RECORD, make_toolchain(), staged=staged, final=staged)
    return dataclasses.replace(built, cc=compiler, flags=plan.flags)


@pytest.fixture
def prepare(tmp_path, tree, interpreter):
    console = Console(out=io.StringIO(), err=io.StringIO(), env={})
    layout = Layout(root=tmp_path / "cache")
    return lambda *tests, **changes: prepare_tests(
        dataclasses.replace(interpreter, **changes), tree, tests, jobs=2, layout=layout, console=console
    )


def calls(tmp_path):
    file = tmp_path / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_the_selection_is_upstreams_own(tree):
    assert selected_tests(tree, Selection.THREADED) == ("test_queue", "test_capi.test_mem")
    assert selected_tests(tree, Selection.PARALLEL) == ("test_abc",)


def test_before_3_13_there_is_no_selection(tree):
    (tree / "Lib/test/libregrtest/tsan.py").unlink()
    assert [selected_tests(tree, each) for each in Selection] == [(), ()]


def test_a_test_is_a_file_a_folder_or_a_part_of_one(tree):
    assert [file.name for file in files_of_test(tree, "test_queue")] == ["test_queue.py"]
    assert [file.name for file in files_of_test(tree, "test_capi.test_mem")] == ["test_mem.py"]
    assert len(files_of_test(tree, "test_capi")) == 2
    assert files_of_test(tree, "test_nope") == ()


def test_only_what_a_test_names_is_needed(tree):
    assert needed_modules(tree, ["test_queue"]) == {}
    assert needed_modules(tree, ["test_capi.test_mem"]) == {"_testcapi": ("_testcapimodule.c", "_testcapi/mem.c")}
    assert list(needed_modules(tree, ["test_buffer", "test_capi"])) == ["_testbuffer", "_testcapi"]


def test_modules_are_built_with_the_interpreters_flags_once(prepare, tmp_path):
    home = prepare("test_capi.test_mem")
    compiled = calls(tmp_path)
    assert len(compiled) == 3
    assert all("-fsanitize=thread" in line for line in compiled)
    assert "-shared" in compiled[-1]
    module = home.python.parent.parent / "lib" / "python3.13" / "site-packages" / "_testcapi.so"
    assert module.is_file()
    prepare("test_capi.test_mem")
    assert calls(tmp_path) == compiled


def test_children_find_the_tests_too(prepare, tree, interpreter):
    home = prepare("test_queue")
    folder = home.python.parent.parent
    assert home.python.resolve() == interpreter.executable
    assert f"home = {interpreter.executable.parent}\n" in (folder / "pyvenv.cfg").read_text()
    package = folder / "lib" / "python3.13" / "site-packages" / "test"
    assert (package / "test_queue.py").read_text() == (tree / "Lib" / "test" / "test_queue.py").read_text()


def test_the_tests_are_a_copy_so_that_the_source_stays_as_it_is(prepare, tree):
    package = prepare("test_queue").python.parent.parent / "lib" / "python3.13" / "site-packages" / "test"
    package.joinpath("__pycache__").mkdir()
    shutil.rmtree(package)
    package.symlink_to(tree / "Lib" / "test")  # as it was once, or a copy that was cut short
    package.with_name("test~").mkdir()
    prepare("test_queue")
    assert not package.is_symlink()
    assert package.joinpath("test_queue.py").is_file()
    assert not package.with_name("test~").exists()
    assert not list(tree.rglob("__pycache__"))


def test_upstreams_suppressions_are_those_of_the_kind_of_build(prepare, tree):
    assert prepare("test_queue").suppressions == tree / "Tools" / "tsan" / "suppressions.txt"
    assert prepare("test_queue", free_threaded=True).suppressions is None


def test_a_module_that_cannot_be_built_is_reported_and_not_left_behind(prepare, tree, tmp_path):
    setup = tree / "Modules" / "Setup.stdlib.in"
    setup.write_text(SETUP.replace("_testcapi/mem.c", "broken.c"))
    with pytest.raises(BuildError, match="compile _testcapi") as caught:
        prepare("test_capi.test_mem")
    assert "error: no" in caught.value.message
    assert Path(caught.value.evidence).is_file()
    assert not list(tmp_path.rglob("_testcapi.so"))
