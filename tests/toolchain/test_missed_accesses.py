"""What docs/blind-spots.md says of accesses that clang does not instrument, and gcc does.

LLVM's pass (ThreadSanitizer.cpp) skips an access to a local variable whose address does not escape, and asks that of
the address of the one element, not of the array. It runs after the vectorizer, and skips llvm.masked.store.
"""

import os
import subprocess
from pathlib import Path

import pytest

from python_tsan.console import make_console
from python_tsan.errors import ToolchainError
from python_tsan.paths import Layout, default_root
from python_tsan.toolchain import choose_toolchain

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


@pytest.mark.skipif("avx2" not in Path("/proc/cpuinfo").read_text().split(), reason="this processor has no AVX2")
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
