"""The parts of native/ that need no Python, each compiled alone."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from python_tsan.paths import native_folder

pytestmark = pytest.mark.compiler

CASES = Path(__file__).parent / "cpp"
WARNINGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


@pytest.fixture
def run_program(tmp_path, real_toolchain):
    def run(case, *sources, flags=(), arguments=()):
        native = native_folder()
        program = tmp_path / case
        files = [CASES / f"{case}.cpp", *(native / source for source in sources)]
        includes = [f"-I{native}", f"-I{native / 'include'}"]
        compiler = [real_toolchain.candidate.cxx, *WARNINGS, *flags, *includes, "-pthread"]
        subprocess.run([*compiler, *files, "-o", program], check=True)
        return subprocess.run([*real_toolchain.launcher, program, *arguments], check=False, capture_output=True)

    return run


def test_json_is_read_back_as_it_was_written(run_program):
    found = json.loads(run_program("json_cases", "harness/json.cpp").stdout)
    assert found == {
        "quotes": 'say "hi" \\ there',
        "control": "a\tb\nc\x01\x00d",
        "utf8": "é € 🐍",
        "broken": "?|?|??|???|????|??",
        "literal_is_text": "true",
        "truth": True,
        "smallest": -(2**63),
        "unsigned": 7,
        "third": 1 / 3,
        "not_a_number": None,
        "texts": ["a", "b"],
        "none": [],
        "nested": [{}, {"x": 1}],
        "nothing": None,
        "last": "z",
    }
    assert found["truth"] is True


@pytest.mark.parametrize(("flags", "kind"), [((), "plain"), (("-fsanitize=thread",), "instrumented")])
def test_the_barrier_lets_nobody_pass_early(run_program, flags, kind):
    ended = run_program("barrier_rounds", flags=flags)
    assert ended.stdout.decode().strip() == kind
    assert ended.returncode == 0, ended.stderr.decode()


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="PEP 788 has guards of its own")
def test_guards_and_copies_of_a_view_order_no_threads(run_program):
    flags = ("-g", "-fsanitize=thread", f"-I{sysconfig.get_path('include')}")
    ended = run_program("guards_in_turns", flags=flags)
    assert ended.stderr.decode().count("WARNING: ThreadSanitizer: data race") == 1
    assert "guards_in_turns.cpp" in ended.stderr.decode().partition("Previous")[0]


def test_a_wait_for_graph_that_changes_is_noted_again(run_program, tmp_path):
    ended = run_program("waits_noted_again", "harness/waits.cpp", arguments=[tmp_path])
    first = "T1 waits for the mutex, held by T2\n"
    assert ended.stdout.decode() == f"{first}--\n{first}T2 waits for the GIL, held by T1\n--\n"
