"""The harness itself in the fast lane: its command line, its report, and that a missing guard is seen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from listed import find_scenario

from python_tsan.expectation import Lane, Outcome
from python_tsan.paths import native_folder
from python_tsan.version import numbers_of

# A symbolizer that asks an unreachable server for debug information would hang for ever.
ENVIRONMENT = os.environ | {"DEBUGINFOD_URLS": "", "TSAN_OPTIONS": "exitcode=66"}

pytestmark = [pytest.mark.compiler, pytest.mark.slow, pytest.mark.timeout(600)]

GUARD = "    const py::gil_scoped_acquire gil;\n    const long long seen = g_guarded_counter;"
FAKE_NUMPY = """
class Range(list):
    def sum(self):
        return {result}
def arange(count):
    return Range(range(count))
"""


@pytest.fixture(scope="module")
def harness(build_real):
    return build_real()


class Ran:
    """A finished run: exit code, report, everything that was printed."""

    def __init__(self, program, launcher, folder, *arguments):
        self.file = folder / "report.json"
        command = [*launcher, program, "run", *arguments, "--report", self.file]
        ended = subprocess.run(command, check=False, capture_output=True, env=ENVIRONMENT, timeout=120)
        self.code = ended.returncode
        self.text = (ended.stdout + ended.stderr).decode()
        self.report = json.loads(self.file.read_text()) if self.file.exists() else None


@pytest.fixture
def run(harness, real_toolchain, tmp_path):
    return lambda *arguments: Ran(harness.executable, real_toolchain.launcher, tmp_path, *arguments)


@pytest.fixture
def packages(tmp_path):
    def make(text):
        folder = tmp_path / "packages"
        folder.mkdir()
        (folder / "numpy.py").write_text(text)
        return folder

    return make


def test_every_scenario_has_its_own_words_and_a_file(harness):
    for scenario in harness.scenarios:
        assert scenario.summary.endswith(".")
        assert (native_folder().parent / scenario.file).is_file()


def test_twins_have_opposite_outcomes(harness):
    racy = find_scenario(harness.scenarios, "counter_unguarded")
    safe = find_scenario(harness.scenarios, racy.twin)
    assert safe.name == "counter_guarded"
    assert safe.twin == racy.name
    assert safe.expect.outcome is not racy.expect.outcome
    assert racy.expect.findings[0].location == "g_racy_counter"


def test_the_race_is_found_once_with_both_sides(run):
    ran = run("counter_unguarded")
    assert ran.code == 66
    assert ran.text.count("WARNING: ThreadSanitizer: data race") == 1
    assert "Read of size 8" in ran.text
    assert "Previous write of size 8" in ran.text
    assert "g_racy_counter" in ran.text
    assert "native/scenarios/counter.cpp" in ran.text
    assert str(native_folder().parent) not in ran.text


def test_the_guarded_twin_is_clean_and_counts_right(run):
    ran = run("counter_guarded", "--threads", "3", "--iterations", "7")
    assert ran.code == 0
    assert ran.report["values"] == {"count": 21}
    assert ran.report["wrong"] == []
    assert ran.report["error"] is None


def test_without_its_guard_the_guarded_counter_races(build_real, real_toolchain, tmp_path, monkeypatch):
    native = tmp_path / "native"
    shutil.copytree(native_folder(), native)
    source = native / "scenarios" / "counter.cpp"
    whole = source.read_text()
    assert whole.count(GUARD) == 1
    source.write_text(whole.replace(GUARD, GUARD.splitlines()[1]))
    monkeypatch.setattr("python_tsan.harness.build.native_folder", lambda: native)
    mutant = build_real()
    ran = Ran(mutant.executable, real_toolchain.launcher, tmp_path, "counter_guarded")
    assert ran.code == 66
    assert "g_guarded_counter" in ran.text


def test_guards_that_take_the_gil_race_without_one(harness):
    for name in ("counter_guarded", "pygilstate_guarded", "counter_reacquired"):
        safe = find_scenario(harness.scenarios, name)
        assert safe.expect.outcome is Outcome.CLEAN
        assert safe.expect_free_threaded.outcome is Outcome.RACE
        assert safe.expect_free_threaded.findings[0].accesses == ("read", "write")


def test_a_defect_of_cpythons_is_expected_of_the_versions_that_have_it(harness):
    late = find_scenario(harness.scenarios, "worker_comes_back_too_late")
    version = numbers_of(harness.interpreter.version)
    assert late.expect.outcome is (Outcome.RACE if version >= (3, 13) else Outcome.CLEAN)
    assert late.expect.values == {"workers_ended": 8 if version < (3, 13, 8) else 0}
    assert late.lanes == (Lane.FULL,)


def test_what_replaces_the_gil_is_clean_on_both_kinds_of_build(harness):
    for name in ("counter_atomic", "counter_mutex", "counter_critical_section"):
        scenario = find_scenario(harness.scenarios, name)
        assert {each.outcome for each in scenario.expectations} == {Outcome.CLEAN}


def test_the_report_says_how_it_stands_with_the_gil(run):
    assert run("counter_atomic").report["gil"] == {"built": True, "enabled": True, "enabled_by": ""}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nope",), "unknown scenario 'nope'"),
        (("counter_guarded", "--threads", "0"), "--threads must be a whole number from 1 to 1022, not '0'"),
        (("counter_guarded", "--threads", "2000"), "--threads must be a whole number"),
        (("counter_guarded", "--iterations", "4x"), "--iterations must be a whole number"),
        (("counter_guarded", "--colour", "red"), "unknown option '--colour'"),
    ],
)
def test_bad_usage_is_shown_with_the_list(run, arguments, complaint):
    ran = run(*arguments)
    assert ran.code == 2
    assert complaint in ran.text
    assert "\n  canary_race\n" in ran.text
    assert ran.report is None


def test_an_exception_on_the_main_thread_is_reported(run, packages):
    ran = run("embed_test", "--packages", packages("raise LookupError('no \"numpy\" today')\n"))
    assert ran.code == 1
    assert ran.report["error"] == {"type": "LookupError", "text": 'no "numpy" today', "thread": "main"}


def test_exceptions_in_threads_are_reported_by_name(run, packages):
    class_and_raise = "class Odd(Exception): pass\ndef arange(n): raise Odd('ø')\n"
    ran = run("embed_test", "--threads", "3", "--packages", packages(class_and_raise))
    assert ran.code == 1
    assert [error["thread"] for error in ran.report["errors"]] == ["T1", "T2", "T3"]
    assert ran.report["error"] == {"type": "numpy.Odd", "text": "ø", "thread": "T1"}


def test_wrong_values_are_named(run, packages):
    ran = run("embed_test", "--threads", "2", "--iterations", "1", "--packages", packages(FAKE_NUMPY.format(result=1)))
    assert ran.code == 1
    assert ran.report["wrong"] == ["total_T1", "total_T2"]
    assert ran.report["values"]["total_T1"] == 1
    assert ran.report["values"]["total_T1_expected"] == 4950


def test_right_values_pass(run, packages):
    right = FAKE_NUMPY.format(result="__builtins__['sum'](self)")
    assert run("embed_test", "--packages", packages(right)).code == 0


def test_a_report_that_cannot_be_written_is_reported(harness, real_toolchain, tmp_path):
    ran = Ran(harness.executable, real_toolchain.launcher, tmp_path / "missing", "canary_safe")
    assert ran.code == 1
    assert "cannot write the report" in ran.text


def test_a_hang_shows_every_threads_stack_and_no_finding(harness, real_toolchain, tmp_path):
    stacks = tmp_path / "stacks.txt"
    process = subprocess.Popen(
        [*real_toolchain.launcher, harness.executable, "run", "mutex_wrong_order"],
        env=ENVIRONMENT | {"PYTHON_TSAN_STACKS": str(stacks)},
        stderr=subprocess.PIPE,
    )
    try:
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGUSR1)
        time.sleep(1)
    finally:
        process.kill()
    _, printed = process.communicate()
    text = stacks.read_text()
    assert all(f" is {name}\n" in text for name in ("main", "T1", "T2"))
    assert "in take_mutex_with_gil_held" in text
    assert text.count("(most recent call first)") == 3
    assert b"WARNING: ThreadSanitizer" not in printed


def test_a_daemon_thread_of_a_module_ends_before_the_interpreter(run, packages):
    late = "import threading, time\nthreading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n"
    ran = run("embed_test", "--packages", packages(FAKE_NUMPY.format(result="99 * 50") + late))
    assert (ran.code, ran.text) == (0, "")
