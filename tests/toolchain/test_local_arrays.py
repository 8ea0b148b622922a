"""What docs/blind-spots.md says of local arrays: clang omits accesses to them once it has inlined them; gcc does not.

LLVM's pass (ThreadSanitizer.cpp) skips an access to a local variable whose address does not escape, and asks that of
the address of the one element, not of the array.
"""

import os
import subprocess

import pytest

from python_tsan.console import make_console
from python_tsan.errors import ToolchainError
from python_tsan.paths import Layout, default_root
from python_tsan.toolchain import choose_toolchain

pytestmark = pytest.mark.compiler
RUNS = 5
PROGRAM = """
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


@pytest.mark.parametrize(
    ("name", "option", "seen"),
    [("clang-19", "-O1", False), ("clang-19", "-O0", True), ("gcc-12", "-O1", True)],
)
def test_a_race_on_a_local_array(tmp_path, name, option, seen):
    try:
        toolchain = choose_toolchain(name, layout=Layout(root=default_root()), console=make_console(quiet=True))
    except ToolchainError as error:
        pytest.skip(f"{name} does not serve here: {error.message}")
    (tmp_path / "array.cpp").write_text(PROGRAM)
    command = [toolchain.candidate.cxx, "-std=c++17", "-fsanitize=thread", option, "array.cpp", "-o", "array"]
    subprocess.run(command, cwd=tmp_path, check=True)
    env = {**os.environ, "TSAN_OPTIONS": "symbolize=0"}
    command = [*toolchain.launcher, tmp_path / "array"]
    said = [subprocess.run(command, env=env, capture_output=True, text=True, check=False).stderr for _ in range(RUNS)]
    assert any("WARNING: ThreadSanitizer: data race" in text for text in said) is seen
