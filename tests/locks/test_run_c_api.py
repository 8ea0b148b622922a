"""`run` on programs that call Python's C API without the GIL, and on their correct twins."""

from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.errors import ExitCode
from tests.locks.conftest import latest

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

PROGRAM = """
#include <Python.h>
#include <cstring>
#include <thread>
static PyObject* list = nullptr;
__attribute__((noinline)) bool is_empty() { return PyList_Size(list) == 0; }
void careless() { if (!is_empty()) std::abort(); }
void careful() { auto state = PyGILState_Ensure(); const bool empty = is_empty(); PyGILState_Release(state);
                 if (!empty) std::abort(); }
int main(int count, char** words) {
    Py_Initialize();
    list = PyList_New(0);
    PyThreadState* state = PyEval_SaveThread();
    std::thread(count > 1 && std::strcmp(words[1], "safe") == 0 ? careful : careless).join();
    PyEval_RestoreThread(state);
    return Py_FinalizeEx();
}
"""


def test_a_call_without_the_gil_is_a_finding_with_its_line(program, capsys):
    assert main(["run", "--", program]) == ExitCode.FINDINGS
    (finding,) = latest()["findings"]
    assert (finding["kind"], finding["attribution"]) == ("Python C API called without the GIL", "yours")
    printed = capsys.readouterr().out
    assert "PyList_Size called without the GIL" in printed
    assert "the thread had not attached a thread state before" in printed
    assert "Acquire the GIL before the call" in " ".join(printed.split())


def test_the_safe_twin_is_clean(program):
    assert main(["run", "--quiet", "--", program, "safe"]) == ExitCode.CLEAN


def test_what_was_not_chosen_does_not_count(program):
    assert main(["run", "--quiet", "--detect", "locks", "--", program]) == ExitCode.CLEAN
    assert main(["run", "--quiet", "--detect", "capi", "--", program]) == ExitCode.FINDINGS


def test_a_baseline_accepts_it(program):
    assert main(["run", "--quiet", "--write-baseline", "known.toml", "--", program]) == ExitCode.FINDINGS
    assert "PyList_Size" in Path("known.toml").read_text()
    text = Path("known.toml").read_text()
    Path("known.toml").write_text(text.replace('= ""', '= "https://example.org/1"'))
    assert main(["run", "--quiet", "--baseline", "known.toml", "--", program]) == ExitCode.CLEAN


def test_a_suppression_by_rule_and_function_hides_it(program):
    Path("s.txt").write_text("# https://example.org/1\nc-api-without-gil:is_empty\n")
    assert main(["run", "--quiet", "--suppressions", "s.txt", "--", program]) == ExitCode.CLEAN
    assert latest()["suppressions"][0]["matched"] == 1
    assert latest()["findings"][0]["status"] == "suppressed"
    Path("s.txt").write_text("exception-lost:is_empty\n")
    assert main(["run", "--quiet", "--suppressions", "s.txt", "--", program]) == ExitCode.FINDINGS


@pytest.mark.parametrize("way", ["option", "file"])
def test_a_rule_that_is_switched_off_does_not_count_and_the_verdict_says_so(program, way, capsys):
    rules = "exception-lost,c-api-without-gil"
    if way == "file":
        Path("python-tsan.toml").write_text('ignore-rules = ["exception-lost", "c-api-without-gil"]')
    options = [] if way == "file" else ["--ignore-rules", rules]
    assert main(["run", *options, "--", program]) == ExitCode.CLEAN
    printed = " ".join(capsys.readouterr().out.split())
    assert "As requested, 2 rules did not count: exception-lost, c-api-without-gil." in printed
    assert latest()["findings"] == []
    assert latest()["subjects"][0]["rate"]["found"] == 0
    Path("python-tsan.toml").unlink(missing_ok=True)
    assert main(["replay", "--quiet", "runs/latest"]) == ExitCode.CLEAN
    assert main(["run", "--quiet", "--ignore-rules", "exception-lost", "--", program]) == ExitCode.FINDINGS


def test_an_unknown_rule_is_a_wrong_option(program, capsys):
    assert main(["run", "--ignore-rules", "gil", "--", program]) == ExitCode.USAGE
    assert "c-api-without-gil" in capsys.readouterr().err


def test_a_rule_can_be_expected(program):
    assert main(["run", "--quiet", "--expect", "c-api-without-gil", "--", program]) == ExitCode.CLEAN
    assert main(["run", "--quiet", "--expect", "c-api-without-gil", "--", program, "safe"]) == ExitCode.FINDINGS
    assert main(["run", "--quiet", "--expect", "exception-lost", "--", program]) == ExitCode.FINDINGS


@pytest.mark.parametrize("rendering", ["html", "sarif", "junit", "markdown", "github", "json"])
def test_every_rendering_names_the_function(program, rendering, capsys):
    assert main(["run", "--quiet", "--", program]) == ExitCode.FINDINGS
    capsys.readouterr()
    assert main(["report", "--format", rendering, "runs/latest/run.json"]) == ExitCode.FINDINGS
    assert "PyList_Size called without the GIL" in capsys.readouterr().out


def test_without_python_there_is_nothing_to_judge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--quiet", "--detect", "capi", "--", "/bin/true"]) == ExitCode.SUBJECT
