"""Several copies of one library in a process: with the shims, each caller reaches the copy that it reaches without."""

import os
import subprocess
from pathlib import Path

import pytest

from python_tsan.running.companion import FOLDER_VARIABLE

pytestmark = pytest.mark.compiler
SOURCES = Path(__file__).with_name("copies")
COPIES = ("one", "two")
# The plugins that a program loads, each linked with the copy of its name.
LOADED = {
    "two of their own": ["local:one", "local:two"],
    "a global one first": ["global:one", "local:two"],
    "a global one last": ["local:two", "global:one"],
    "the second one alone": ["local:two"],
}


@pytest.fixture(params=["gcc", "clang"])
def compiled(request, toolchains, companion, tmp_path):
    """Return a function that compiles all and returns the output of the program without and with shims."""
    toolchain = toolchains.get(request.param)
    if toolchain is None:
        pytest.skip(f"no working {request.param}")

    def compile_to(name, source, *flags):
        command = [toolchain.candidate.cxx, "-O1", "-fPIC", SOURCES / f"{source}.cpp", f"-Wl,-rpath,{tmp_path}", *flags]
        subprocess.run([*command, "-o", tmp_path / name], check=True, timeout=120)

    def build(*, own, versions, binding):
        for copy, version in zip(COPIES, versions, strict=True):
            (tmp_path / "versions").write_text(f"{version} {{ global: *; }};\n")
            script = [f"-Wl,--version-script={tmp_path / 'versions'}"] if version else []
            compile_to(f"lib{copy}.so", "library", "-shared", f'-DCOPY="{copy}"', f"-Wl,-soname,lib{copy}.so", *script)
            needed = [f"-L{tmp_path}", f"-l{copy}", f"-Wl,-z,{binding}", "-Wl,--no-as-needed"]
            compile_to(f"{copy}.so", "user", "-shared", *needed)
        mine = ["-DOWN", SOURCES / "user.cpp", f"-L{tmp_path}", "-lone"] if own else []
        compile_to("program", "program", "-fsanitize=thread", "-ldl", *mine)

    def run(loaded, preloaded):
        variables = os.environ | {"LD_PRELOAD": preloaded, FOLDER_VARIABLE: str(tmp_path)}
        command = [*toolchain.launcher, "./program"]
        command += [f"{way}:{tmp_path / name}.so" for way, name in (each.split(":") for each in loaded)]
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True).stdout

    def outputs(loaded, *, own=False, versions=("", ""), binding="now"):
        build(own=own, versions=versions, binding=binding)
        return run(loaded, ""), run(loaded, str(companion))

    return outputs


@pytest.mark.parametrize("binding", ["now", "lazy"])
@pytest.mark.parametrize("own", [False, True], ids=["", "and the program's"])
@pytest.mark.parametrize("loaded", LOADED.values(), ids=LOADED)
def test_each_caller_reaches_the_copy_that_it_reaches_without_shims(compiled, loaded, own, binding):
    without, with_shims = compiled(loaded, own=own, binding=binding)
    assert without.count("\n") == 12 * (len(loaded) + own)
    assert with_shims == without


def test_versions_of_symbols_decide(compiled):
    """A program with Qt 5 may load a plugin with Qt 6: the linker looks for the version, too."""
    without, with_shims = compiled(["local:two"], own=True, versions=("Qt_5", "Qt_6"))
    assert {"one QMutex::lock 1", "two QMutex::lock 1"} <= set(without.splitlines())
    assert with_shims == without
