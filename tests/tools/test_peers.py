"""The session for the tests of binding libraries: what it compiles, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.cpython.manifest import Interpreter
from python_tsan.errors import BuildError
from tools.peers.__main__ import build, command
from tools.peers.parts import PARTS

PREFIX = Path("/built")
INTERPRETER = Interpreter(
    key="k", instrumented=True, version="3.13.5", free_threaded=False, debug=True, prefix=PREFIX,
    executable=PREFIX / "bin/python3.13", library=PREFIX / "lib/libpython3.13d.so.1.0", include=PREFIX / "include",
    cc=Path("/bin/false"), cxx=Path("/bin/false"), toolchain="gcc-12", runtime=None, runtime_id="abc",
)  # fmt: skip
EMBED = next(part for part in PARTS if part.name == "pybind11-embed")


def words(target, tmp_path):
    return list(map(str, command(EMBED, target, Path("/source"), INTERPRETER, tmp_path)))


def test_a_module_is_shared_and_a_program_holds_the_interpreter(tmp_path):
    program, module = words("pybind11-embed", tmp_path), words("external_module", tmp_path)
    assert program[-1] == str(tmp_path / "pybind11-embed")
    assert "-l:libpython3.13d.so.1.0" in program
    assert "-shared" not in program
    assert module[-1] == str(tmp_path / "external_module.so")
    assert "-shared" in module
    assert "-l:libpython3.13d.so.1.0" not in module
    assert all("-fsanitize=thread" in each for each in (program, module))


def test_each_part_has_its_own_name_and_something_to_run():
    assert len({part.name for part in PARTS}) == len(PARTS)
    for part in PARTS:
        assert part.name in part.targets or any(Path(script).name.startswith("test_") for script in part.scripts)


def test_what_does_not_compile_is_refused_with_its_name(tmp_path):
    part = replace(EMBED, scripts=())
    with pytest.raises(BuildError, match="pybind11-embed: pybind11-embed does not compile"):
        build(part, tmp_path, INTERPRETER, tmp_path / "work")
