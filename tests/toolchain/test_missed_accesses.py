"""What docs/blind-spots.md says of accesses that one compiler does not instrument.

LLVM's pass (ThreadSanitizer.cpp) skips an access to a local variable whose address does not escape, and asks that of
the address of the one element, not of the array. It runs after the vectorizer, and skips llvm.masked.store and each
access that has not 1, 2, 4, 8 or 16 bytes. GCC's (tsan.cc) knows assignments, and neither the result of a call nor a
call that it later replaces by loads and stores.
"""

import os
import subprocess
from pathlib import Path

import pytest

from python_tsan.console import make_console
from python_tsan.cpython.plan import KEPT_CALLS
from python_tsan.errors import ToolchainError
from python_tsan.paths import Layout, default_root
from python_tsan.toolchain import choose_toolchain
from python_tsan.toolchain.model import Family

pytestmark = pytest.mark.compiler
RUNS = 5
LOCAL_ARRAY = """
#include <array>
#include <string_view>
#include <thread>
using Table = std::array<long, 256>;
void count(std::string_view text, Table& table) {
    for (const unsigned char letter : text) ++table[letter];
}
int main() {
    const std::string_view text = "abracadabraabracadabra";
    Table table{};
    std::thread other([&] { count(text.substr(11), table); });
    count(text.substr(0, 11), table);
    other.join();
    return table['z'];
}
"""
MASKED_STORE = """
#include <thread>
int levels[1024], limits[1024];
__attribute__((noinline)) void fill(int level) {
    for (int i = 0; i < 1024; ++i)
        if (limits[i] > 3) levels[i] = level;
}
int main() {
    for (int i = 0; i < 1024; ++i) limits[i] = i;
    std::thread other(fill, 1);
    fill(2);
    other.join();
    return levels[5] == 7;
}
"""
TWO_CALLS = """
#include <chrono>
#include <cstring>
#include <thread>
{declared}
__attribute__((noinline)) void work(int value) {{ {statement} }}
int main() {{
    std::thread other(work, 1);
    work(2);
    other.join();
}}
"""
PLACE = "struct Place {{ double latitude, longitude; }} place; __attribute__((noinline)) Place locate(int value) {body}"
TABLE = "struct Table { long rows[9]; } table; __attribute__((noinline)) long read(Table copy) { return copy.rows[3]; }"
FOUR = "struct Four { double a, b, c, d; } four;"
NO_LOOPS, NO_VECTORS = ["-O2", "-mavx2", "-fno-vectorize"], ["-O2", "-mavx2", "-fno-vectorize", "-fno-slp-vectorize"]
CALLS = ["-O2", *KEPT_CALLS[Family.GCC].split()]


def sees_the_race(folder, name, program, options):
    try:
        toolchain = choose_toolchain(name, layout=Layout(root=default_root()), console=make_console(quiet=True))
    except ToolchainError as error:
        pytest.skip(f"{name} does not serve here: {error.message}")
    (folder / "program.cpp").write_text(program)
    command = [toolchain.candidate.cxx, "-std=c++17", "-fsanitize=thread", *options, "program.cpp", "-o", "program"]
    subprocess.run(command, cwd=folder, check=True)
    env = {**os.environ, "TSAN_OPTIONS": "symbolize=0"}
    command = [*toolchain.launcher, folder / "program"]
    said = [subprocess.run(command, env=env, capture_output=True, text=True, check=False).stderr for _ in range(RUNS)]
    return any("WARNING: ThreadSanitizer: data race" in text for text in said)


@pytest.mark.parametrize(
    ("name", "option", "seen"),
    [("clang-19", "-O1", False), ("clang-19", "-O0", True), ("gcc-12", "-O1", True)],
)
def test_a_race_on_a_local_array(tmp_path, name, option, seen):
    assert sees_the_race(tmp_path, name, LOCAL_ARRAY, [option]) is seen


AVX2 = pytest.mark.skipif("avx2" not in Path("/proc/cpuinfo").read_text().split(), reason="this processor has no AVX2")


@AVX2
@pytest.mark.parametrize(
    ("name", "options", "seen"),
    [
        ("clang-19", ["-O2", "-mavx2"], False),
        ("clang-19", ["-O2", "-mavx2", "-fno-vectorize"], True),
        ("clang-19", ["-O1", "-mavx2"], True),
        ("gcc-12", ["-O3", "-mavx2"], True),
    ],
)
def test_a_race_on_a_store_under_a_condition_in_a_loop(tmp_path, name, options, seen):
    assert sees_the_race(tmp_path, name, MASKED_STORE, options) is seen


@pytest.mark.parametrize(("name", "seen"), [("clang-19", False), ("gcc-12", True)])
def test_a_race_on_a_long_double(tmp_path, name, seen):
    program = TWO_CALLS.format(declared="long double total;", statement="total = value;")
    assert sees_the_race(tmp_path, name, program, ["-O1"]) is seen


@AVX2
@pytest.mark.parametrize(
    ("name", "options", "seen"),
    [
        ("clang-19", ["-O2", "-mavx2"], False),
        ("clang-19", NO_LOOPS, False),
        ("clang-19", NO_VECTORS, True),
        ("gcc-12", ["-O3", "-mavx2"], True),
    ],
)
def test_a_race_on_members_that_are_stored_at_once(tmp_path, name, options, seen):
    statement = "four.a = value; four.b = value + 1; four.c = value + 2; four.d = value + 3;"
    assert sees_the_race(tmp_path, name, TWO_CALLS.format(declared=FOUR, statement=statement), options) is seen


@AVX2
@pytest.mark.parametrize(("options", "seen"), [(["-O2", "-mavx2"], False), (NO_LOOPS, True)])
def test_a_race_in_a_loop_without_a_condition(tmp_path, options, seen):
    loop = "for (int i = 0; i < 256; ++i) levels[i] = i + value;"
    program = TWO_CALLS.format(declared="float levels[256];", statement=loop)
    assert sees_the_race(tmp_path, "clang-19", program, options) is seen


@pytest.mark.parametrize(
    ("declared", "statement"),
    [
        (PLACE.format(body="{ return {value * 1.0, 2.0}; }"), "place = locate(value);"),
        ("std::chrono::steady_clock::time_point last;", "last = std::chrono::steady_clock::now();"),
    ],
)
@pytest.mark.parametrize(("name", "seen"), [("clang-19", True), ("gcc-12", False)])
def test_a_race_on_what_a_call_returns(tmp_path, name, seen, declared, statement):
    program = TWO_CALLS.format(declared=declared, statement=statement)
    assert sees_the_race(tmp_path, name, program, ["-O1"]) is seen


@pytest.mark.parametrize(
    "statement",
    [
        "std::memset(text, value, 100);",
        "std::memmove(text, other, 40);",
        'std::strcpy(text, "a text of a known size");',
        "if (value == 1) text[1] = 2; else same = std::memcmp(text, other, 16) == 0;",
        'std::strncpy(text, "a text", 16);',
    ],
)
@pytest.mark.parametrize(
    ("name", "options", "seen"), [("clang-19", ["-O2"], True), ("gcc-12", ["-O2"], False), ("gcc-12", CALLS, True)]
)
def test_a_race_on_memory_that_a_library_function_is_called_for(tmp_path, name, options, seen, statement):
    program = TWO_CALLS.format(declared="char text[100], other[100]; volatile bool same;", statement=statement)
    assert sees_the_race(tmp_path, name, program, options) is seen


@pytest.mark.parametrize(
    ("name", "option", "seen"), [("clang-19", "-O0", True), ("clang-19", "-O1", False), ("gcc-12", "-O1", False)]
)
def test_a_race_on_what_is_copied_into_an_argument(tmp_path, name, option, seen):
    statement = "if (value == 1) table.rows[3] = 1; else sum = read(table);"
    program = TWO_CALLS.format(declared=f"{TABLE} volatile long sum;", statement=statement)
    assert sees_the_race(tmp_path, name, program, [option]) is seen


@pytest.mark.parametrize(("name", "seen"), [("clang-19", True), ("gcc-12", False)])
def test_a_race_on_memory_that_the_library_sets(tmp_path, name, seen):
    program = "#include <vector>" + TWO_CALLS.format(
        declared="std::vector<char> letters(100);", statement="letters.assign(100, value);"
    )
    options = CALLS if name == "gcc-12" else ["-O2"]
    assert sees_the_race(tmp_path, name, program, options) is seen
