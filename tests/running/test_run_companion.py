"""The companion in real processes: what the report hook says, against what the parser reads of the same process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hook_agreement import disagreements, whole_reports

from python_tsan.checking.execution import execute
from python_tsan.config import Settings
from python_tsan.console import make_console
from python_tsan.cpython.environment import subject_environment
from python_tsan.cpython.stock import find_stock
from python_tsan.paths import Layout
from python_tsan.running.audit import two_runtimes
from python_tsan.running.companion import FOLDER_VARIABLE, LIBRARY, obtain_companion, read_hook_output
from python_tsan.running.elf import Runtime, read_elf
from python_tsan.running.hook_crosscheck import KINDS
from python_tsan.toolchain import survey
from python_tsan.toolchain.model import Family
from python_tsan.tsan.parser import parse_log

PROGRAMS = Path(__file__).parents[2] / "native" / "golden"
# Without those that end without a finding, and the one that has a report hook of its own.
NAMES = sorted({path.stem for path in PROGRAMS.glob("*.cpp")} - {"segv", "suppressed", "race_interleaved"})
OPTIONS = "second_deadlock_stack=1:atexit_sleep_ms=50:exitcode=66"
EMBEDDER = """
#include <Python.h>
#include <thread>
int g_counter;
static PyObject* bump(PyObject*, PyObject*) { ++g_counter; Py_RETURN_NONE; }
static PyMethodDef methods[] = {{"bump", bump, METH_NOARGS, ""}, {}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "own", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};
static PyObject* begin() { return PyModule_Create(&module); }
int main() {
    PyImport_AppendInittab("own", begin);
    Py_Initialize();
    ++g_counter;
    std::thread other([] { ++g_counter; });
    PyRun_SimpleString("import own\\n"
                       "class Gr\\u00fcn:\\n"
                       "    def inner(self):\\n"
                       "        for turn in range(3):\\n"
                       "            text = str(turn)\\n"
                       "\\n"
                       "        return own.bump()\\n"
                       "def outer():\\n"
                       "    Gr\\u00fcn().inner()\\n"
                       "outer()\\n");
    other.join();
    return Py_FinalizeEx();
}
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return Layout(root=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def toolchains(layout):
    found = [
        probe.toolchain for probe in survey(layout=layout, console=make_console(quiet=True)).probes if probe.toolchain
    ]
    families = {toolchain.candidate.family: toolchain for toolchain in reversed(found)}
    return tuple(families.values())


@pytest.fixture(scope="module")
def companion(layout, toolchains):
    built = obtain_companion(
        interpreter=None, compiler=toolchains[0].candidate, layout=layout, console=make_console(quiet=True)
    )
    assert built is not None
    return built


def compile_with(toolchain, source, target, *more):
    flags = ["-std=c++17", "-g", "-O1", "-fsanitize=thread", "-pthread"]
    command = [toolchain.candidate.cxx, *flags, source, "-o", target, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def watched(toolchain, program, companion, folder, env=None):
    """Run a program with the companion; return what it reported, and the parsed log of the process."""
    folder.mkdir()
    variables = (env or os.environ) | {
        "TSAN_OPTIONS": f"{OPTIONS}:log_path={folder}/tsan",
        "LD_PRELOAD": str(companion),
        FOLDER_VARIABLE: str(folder),
        "DEBUGINFOD_URLS": "",
    }
    subprocess.run([*toolchain.launcher, program], env=variables, capture_output=True, check=False, timeout=60)
    logs = {int(log.suffix[1:]): parse_log(log.read_text(), log.name) for log in folder.glob("tsan.*")}
    return read_hook_output(folder), logs


@pytest.mark.compiler
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_hook_and_the_parser_agree_on_every_kind_with_every_toolchain(toolchains, companion, tmp_path, capsys):
    agreed: dict[str, dict[str, int]] = {}
    wrong = []
    for toolchain in toolchains:
        for name in NAMES:
            program = tmp_path / f"{toolchain.name}-{name}"
            if not compile_with(toolchain, PROGRAMS / f"{name}.cpp", program):
                continue
            _, logs = watched(toolchain, program, companion, tmp_path / f"{program.name}.out")
            whole = whole_reports(tmp_path / f"{program.name}.out")
            for pid, log in logs.items():
                reports = whole.get(pid, ())
                if len(reports) != len(log.findings):
                    wrong.append(f"{program.name}: {len(log.findings)} read, {len(reports)} reported")
                for finding, report in zip(log.findings, reports, strict=False):
                    counts = agreed.setdefault(finding.kind.value, {})
                    counts[toolchain.name] = counts.get(toolchain.name, 0) + 1
                    wrong += [f"{program.name}: {text}" for text in disagreements(finding, report)]
    with capsys.disabled():
        for kind, counts in sorted(agreed.items()):
            sys.stdout.write(f"\n{kind}: {counts}")
    assert wrong == []
    unseen = 1 if any(one.candidate.family is Family.CLANG for one in toolchains) else 2
    assert len(agreed) >= len(KINDS) - unseen
    assert all(
        sum(counts[toolchain.name] for counts in agreed.values() if toolchain.name in counts) >= 20
        for toolchain in toolchains
    )


@pytest.mark.compiler
def test_the_hook_is_reached_in_both_families_and_lost_in_a_stripped_program(toolchains, companion, tmp_path):
    for toolchain in toolchains:
        program = tmp_path / toolchain.name
        assert compile_with(toolchain, PROGRAMS / "race_global.cpp", program)
        facts = read_elf(program)
        told, _ = watched(toolchain, program, companion, tmp_path / f"{toolchain.name}.out")
        wanted = {Runtime.GCC: "preloaded", Runtime.LLVM: "patched"}[facts.runtime]
        (process,) = told.processes
        assert process.hook == wanted
        assert process.objects[0] == str(program)
        assert any(path.endswith(LIBRARY) for path in process.objects)
        assert two_runtimes(process.objects) == ""
        subprocess.run(["strip", program], check=True)
        stripped, logs = watched(toolchain, program, companion, tmp_path / f"{toolchain.name}.stripped")
        assert any(log.findings for log in logs.values())
        if facts.runtime is Runtime.LLVM:
            assert [each.hook for each in stripped.processes] == ["none"]
            assert not stripped.reports


@pytest.mark.compiler
def test_only_what_calls_the_sanitizer_is_instrumented(toolchains, tmp_path):
    (tmp_path / "empty.cpp").write_text("int main() { return 0; }")
    for toolchain in toolchains:
        linked = tmp_path / f"linked-{toolchain.name}"
        plain = tmp_path / "empty.o"
        cxx = toolchain.candidate.cxx
        subprocess.run([cxx, "-c", tmp_path / "empty.cpp", "-o", plain], check=True)
        subprocess.run([cxx, "-fsanitize=thread", plain, "-o", linked], check=True)
        assert read_elf(linked).instrumented is False
        assert read_elf(linked).runtime is not Runtime.NONE
        assert compile_with(toolchain, tmp_path / "empty.cpp", linked)
        assert read_elf(linked).instrumented is True
        library = tmp_path / f"lib{toolchain.name}.so"
        assert compile_with(toolchain, PROGRAMS / "race_global.cpp", library, "-shared", "-fPIC")
        assert read_elf(library).instrumented is True


@pytest.mark.compiler
def test_a_second_runtime_in_a_library_is_found(toolchains, tmp_path):
    if len(toolchains) == 1:
        pytest.skip("only one compiler family is here")
    programs = [tmp_path / toolchain.name for toolchain in toolchains]
    for toolchain, program in zip(toolchains, programs, strict=True):
        assert compile_with(toolchain, PROGRAMS / "race_global.cpp", program)
    assert "brings LLVM's runtime" in two_runtimes(map(str, programs))


@pytest.mark.compiler
def test_a_companion_is_built_once_and_is_inert_elsewhere(companion, layout, toolchains, tmp_path):
    before = companion.stat().st_mtime_ns
    again = obtain_companion(
        interpreter=None, compiler=toolchains[0].candidate, layout=layout, console=make_console(quiet=True)
    )
    assert again == companion
    assert again.stat().st_mtime_ns == before
    assert read_elf(companion).instrumented is False
    # Variables of a thread are found by the dynamic linker, which is in every process.
    assert {name for name in read_elf(companion).needed if not name.startswith("ld-linux")} == {"libc.so.6"}
    env = os.environ | {"LD_PRELOAD": str(companion), FOLDER_VARIABLE: str(tmp_path)}
    assert subprocess.run(["/bin/echo", "hello"], env=env, capture_output=True, check=True).stdout == b"hello\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.compiler
def test_python_frames_of_the_thread_that_completed_the_finding(layout, toolchains, tmp_path):
    toolchain = toolchains[0]
    stock = find_stock(Settings(), toolchain=toolchain, console=make_console(quiet=True))
    if stock is None:
        pytest.skip("no shared libpython is on this machine")
    companion = obtain_companion(
        interpreter=stock, compiler=toolchain.candidate, layout=layout, console=make_console(quiet=True)
    )
    source, program = tmp_path / "embedder.cpp", tmp_path / "embedder"
    source.write_text(EMBEDDER)
    library = stock.library
    links = ["-I", stock.include, library, f"-Wl,-rpath,{library.parent}"]
    assert compile_with(toolchain, source, program, *links)
    seen = []
    for turn in range(20):
        watched(toolchain, program, companion, tmp_path / str(turn), subject_environment(stock, os.environ))
        whole = whole_reports(tmp_path / str(turn))
        seen += [report for reports in whole.values() for report in reports if report.attached]
        if seen:
            break
    frames = [(frame.function, frame.file, frame.line) for frame in seen[0].python]
    assert frames == [("Grün.inner", "<string>", 7), ("outer", "<string>", 9), ("<module>", "<string>", 10)]
    assert seen[0].kind == "data-race"


HANGS = """
import threading
lock = threading.Lock()
lock.acquire()
def waits_for_ever():
    lock.acquire()
threading.Thread(target=waits_for_ever).start()
def main():
    waits_for_ever()
main()
"""


@pytest.mark.compiler
def test_a_python_program_that_hangs_leaves_the_stack_of_each_of_its_threads(layout, toolchains, tmp_path):
    stock = find_stock(Settings(), toolchain=toolchains[0], console=make_console(quiet=True))
    if stock is None:
        pytest.skip("no shared libpython is on this machine")
    companion = obtain_companion(
        interpreter=stock, compiler=toolchains[0].candidate, layout=layout, console=make_console(quiet=True)
    )
    env = subject_environment(stock, os.environ) | {"LD_PRELOAD": str(companion), FOLDER_VARIABLE: str(tmp_path)}
    execution = execute([stock.executable, "-IS", "-c", HANGS], folder=tmp_path / "run", env=env, deadline=2.0)
    text = (tmp_path / "run" / "stacks-python.txt").read_text()
    assert text.count("most recent call first") == 2
    assert text.count('File "<string>", line 6 in waits_for_ever\n') == 2
    assert '  File "<string>", line 9 in main\n  File "<string>", line 10 in <module>\n' in text
    assert "stacks-python.txt" in {path.name for path in execution.stacks}


@pytest.mark.compiler
def test_a_companion_for_another_version_shows_no_frames(layout, toolchains, tmp_path):
    stock = find_stock(Settings(), toolchain=toolchains[0], console=make_console(quiet=True))
    if stock is None:
        pytest.skip("no shared libpython is on this machine")
    companion = obtain_companion(
        interpreter=stock, compiler=toolchains[0].candidate, layout=layout, console=make_console(quiet=True)
    )
    env = dict(os.environ) | {"LD_PRELOAD": str(companion), FOLDER_VARIABLE: str(tmp_path)}
    if sys.version_info[:2] == tuple(int(part) for part in stock.version.split(".")[:2]):
        pytest.skip("the Python that runs the tests is of the same version")
    execution = execute([sys.executable, "-IS", "-c", HANGS], folder=tmp_path / "run", env=env, deadline=1.0)
    assert "stacks-python.txt" not in {path.name for path in execution.stacks}


def test_without_a_compiler_the_missing_companion_is_reported(layout, capsys):
    found = obtain_companion(interpreter=None, compiler=None, layout=layout, console=make_console(quiet=True))
    assert found is None
    assert "no compiler is at hand" in capsys.readouterr().err


def test_the_shims_of_all_processes_are_read_and_a_line_that_was_cut_off_is_left_out(tmp_path):
    (tmp_path / "shims.1.jsonl").write_text('{"pid":1,"groups":["glib","pthread"]}\n')
    (tmp_path / "shims.2.jsonl").write_text('{"pid":2,"groups":["descriptors","glib"]}\n{"pid":2,"gro')
    assert read_hook_output(tmp_path).shims == ("descriptors", "glib", "pthread")
