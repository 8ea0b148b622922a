"""The frames that preloaded libraries read from memory, compared with the C API's answer on every interpreter here."""

import shutil
import subprocess
from pathlib import Path

import pytest

from python_tsan.cpython.manifest import read_manifest
from python_tsan.gil.inside.frames import _FIELDS
from python_tsan.paths import default_root
from python_tsan.version import parse_version
from tools.debian_pythons import folder_name
from tools.late_threads.measure import built_target, stock_targets, unpacked_target

pytestmark = pytest.mark.compiler

SOURCE = Path(__file__).parents[2] / "native" / "preload" / "common" / "frames.cpp"
OLDER = ("3.11", "3.12")  # have no table; their offsets are known
PROBE = r"""
#include "frames.hpp"
#include <cstring>
#include <dlfcn.h>
#include <string>

using preload::FrameTable;

template <typename Function> static Function* api(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

static std::string attribute(_object* code, const char* name) {
    auto* const text = api<_object*(_object*, const char*)>("PyObject_GetAttrString")(code, name);
    return api<const char*(_object*)>("PyUnicode_AsUTF8")(text);
}

static std::string text_of(const FrameTable& table, const _object* string) {
    std::size_t count = 0;
    const char* characters = table.text(string, 256, count);
    return characters == nullptr ? "?" : std::string(characters, count);
}

/// How many frames agree, from the innermost on; -1 if there is no table, -2 if the chains differ in length.
extern "C" int probe() {
    FrameTable table;
    const auto version = *static_cast<unsigned long*>(dlsym(RTLD_DEFAULT, "Py_Version"));
    if (!table.load(dlsym(RTLD_DEFAULT, "_PyRuntime"), version) && !table.load_older(version)) {
        return -1;
    }
    auto* const thread = api<_ts*()>("PyThreadState_Get")();
    auto* frame = api<_object*(_ts*)>("PyThreadState_GetFrame")(thread);
    int equal = 0;
    for (auto own = table.first(thread); own != nullptr && frame != nullptr; own = table.back(own)) {
        auto* const code = api<_object*(_object*)>("PyFrame_GetCode")(frame);
        const auto line = std::to_string(table.first_line(code));
        auto* const number = api<_object*(_object*, const char*)>("PyObject_GetAttrString")(code, "co_firstlineno");
        const long first = api<long(_object*)>("PyLong_AsLong")(number);
        const bool at = table.offset(own) == api<int(_object*)>("PyFrame_GetLasti")(frame) &&
                        table.line(own) == api<int(_object*)>("PyFrame_GetLineNumber")(frame);
        equal += table.code(own) == code && at && attribute(code, "co_filename") == text_of(table, table.file(code)) &&
                 attribute(code, "co_qualname") == text_of(table, table.name(code)) && std::to_string(first) == line;
        frame = api<_object*(_object*)>("PyFrame_GetBack")(frame);
        if ((frame == nullptr) != (table.back(own) == nullptr)) {
            return -2;
        }
    }
    return equal;
}
"""
PROGRAM = """
import ctypes, sys
probe = ctypes.PyDLL(sys.argv[1]).probe
class Inner:
    def method(self):
        return [probe() for _ in range(1)][0]
def outer(): return max(map(lambda _: Inner().method(), [0]))
print(outer())
"""
FRAMES = 4  # module, outer, lambda, method; a comprehension has none since 3.12


def every_target():
    root = default_root() / "interpreters"
    builds = (found for folder in sorted(root.glob("3.*")) if (found := read_manifest(folder)))
    unpacked = (script for script in sorted((root / folder_name()).glob("usr/bin/python3.??")) if script.is_file())
    found = [*stock_targets(), *map(unpacked_target, unpacked), *map(built_target, builds)]
    return {target.name: target for target in found if parse_version(target.version).release >= (3, 11)}


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.cpp").write_text(PROBE)
    library = folder / "probe.so"
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    command = [
        compiler,
        "-std=c++17",
        "-shared",
        "-fPIC",
        f"-I{SOURCE.parent}",
        folder / "probe.cpp",
        SOURCE,
    ]
    subprocess.run([*command, "-o", library], check=True, timeout=60)
    return library


@pytest.fixture(params=[*OLDER, *sorted(f"{major}.{minor}" for major, minor in _FIELDS)])
def targets(request):
    chosen = [target for target in every_target().values() if target.version.startswith(f"{request.param}.")]
    if not chosen:
        pytest.skip(f"no Python {request.param} was found here")
    return chosen


def test_the_frames_in_memory_are_those_of_the_api(targets, probe, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    for target in targets:
        python = target.home / "bin" / f"python{'.'.join(target.version.split('.')[:2])}"
        env = {"PYTHONHOME": str(target.home), "TSAN_OPTIONS": "report_bugs=0 exitcode=0"}
        command = [python, "-S", script, probe]
        ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        frames = FRAMES + target.version.startswith("3.11.")
        assert ended.stdout == f"{frames}\n", f"{target.name}: {ended.stdout}{ended.stderr}"
