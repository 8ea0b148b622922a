"""Each shim in real processes: the correct program is quiet, and its racy twin has its one finding and no other."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from python_tsan.result.blind_spots import blind_objects
from python_tsan.result.unlikely import blind_spot_of
from python_tsan.running.audit import inspect_objects
from python_tsan.running.companion import FOLDER_VARIABLE, read_hook_output
from python_tsan.tsan.parser import parse_log

pytestmark = [pytest.mark.compiler, pytest.mark.slow]
PROGRAMS = Path(__file__).with_name("programs")
UNSEEN = Path(__file__).with_name("unseen")
TURNS = 5  # of RUNS each, for what not every run shows
RUNS = int(os.environ.get("PYTHON_TSAN_SHIM_RUNS", "3"))
REQUIRE_LIBRARIES = "PYTHON_TSAN_REQUIRE_LIBRARIES"
OPTIONS = "atexit_sleep_ms=20:history_size=7:exitcode=66"
# Programs by group, and the families that report a false finding of them without the shim.
BOTH, GCC, NEITHER = {"gcc", "clang"}, {"gcc"}, set()
KINDS = {
    "timed_mutex": ("pthread", GCC),
    "failed_lock": ("pthread", NEITHER),
    "shared_timed_mutex": ("pthread", BOTH),
    "rwlock_clock": ("pthread", BOTH),
    "sem_clockwait": ("pthread", BOTH),
    "clockjoin": ("pthread", BOTH),
    "c11_threads": ("pthread", BOTH),
    "flockfile": ("pthread", BOTH),
    "epoll": ("descriptors", BOTH),
    "poll": ("descriptors", BOTH),
    "select": ("descriptors", BOTH),
    "end_of_file": ("descriptors", BOTH),
    "splice": ("descriptors", BOTH),
    "mq": ("descriptors", BOTH),
    "eventfd_select": ("descriptors", BOTH),
    "unrelated": ("descriptors", NEITHER),
    "sigwait": ("signals", BOTH),
    "signalfd": ("signals", BOTH),
    "sigqueue": ("signals", BOTH),
    "sigsuspend": ("signals", BOTH),
    "glib_mutex": ("glib", BOTH),
    "glib_rw_lock": ("glib", BOTH),
    "glib_once": ("glib", BOTH),
    "glib_async_queue": ("glib", BOTH),
    "glib_thread_pool": ("glib", BOTH),
    "glib_sorted_queue": ("glib", BOTH),
    "qt_mutex": ("qt", BOTH),
    "qt_semaphore": ("qt", BOTH),
    "qt_thread_pool": ("qt", BOTH),
    "qt_thread_wait": ("qt", BOTH),
    "qt_concurrent": ("qt", BOTH),
    "qt6_mutex": ("qt", BOTH),
    "qt6_semaphore": ("qt", BOTH),
    "qt6_thread_pool": ("qt", BOTH),
    "qt6_thread_wait": ("qt", BOTH),
    "qt6_concurrent": ("qt", BOTH),
    "absl_mutex": ("absl", BOTH),
    "exception_ptr": ("exceptions", BOTH),
    "tbb_tasks": ("tbb", BOTH),
    "sysv_semaphore": ("ipc", BOTH),
    "sysv_takers": ("ipc", NEITHER),
    "sysv_queue": ("ipc", BOTH),
    "timerfd": ("descriptors", BOTH),
    "timer_thread": ("timers", BOTH),
    "mq_notify": ("timers", BOTH),
    "own_futex_lock": ("", NEITHER),
    "shared_between_processes": ("", NEITHER),
    "cpp20_waits": ("", NEITHER),
    "cancelled": ("", NEITHER),
    "failed_dlsym": ("", NEITHER),
}
# The same programs with another version of their library.
SOURCES = {name: name.replace("qt6", "qt") for name in KINDS if name.startswith("qt6")}
PACKAGES = {"glib": "glib-2.0", "qt": "Qt5Core", "qt6": "Qt6Core", "absl": "absl_synchronization", "tbb": "tbb"}
PACKAGES |= {"urcu": "liburcu-memb", "qt_concurrent": "Qt5Concurrent", "qt6_concurrent": "Qt6Concurrent"}
NOT_HERE = 77  # what a program is about
DEATH = -11  # by a thread that the runtime does not know


@dataclass(frozen=True, kw_only=True)
class Case:
    """One program for one toolchain, with and without its race."""

    name: str
    family: str
    launcher: tuple[str, ...]
    programs: dict[bool, Path]

    def findings(self, companion, folder, *, racy, shims=True):
        """Return the findings of each run that are not set aside, and the groups that were used."""
        seen, groups = [], set()
        for number in range(RUNS):
            out = folder / f"{racy}-{shims}-{number}"
            out.mkdir()
            variables = os.environ | {
                "TSAN_OPTIONS": f"{OPTIONS}:log_path={out}/tsan",
                "LD_PRELOAD": str(companion),
                FOLDER_VARIABLE: str(out),
                "PYTHON_TSAN_SHIMS": "1" if shims else "0",
                "DEBUGINFOD_URLS": "",
            }
            command = [*self.launcher, self.programs[racy]]
            ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)
            if ended.returncode == NOT_HERE:
                pytest.skip(ended.stdout)
            if ended.returncode == DEATH and not shims:
                seen.append([DEATH])
                continue
            assert ended.returncode in {0, 66}, ended.stderr
            logs = [parse_log(log.read_text(), log.name) for log in out.glob("tsan.*")]
            hooks = read_hook_output(out)
            loaded = blind_objects(inspect_objects(path for each in hooks.processes for path in each.objects))
            seen.append([each for log in logs for each in log.findings if not blind_spot_of(each, loaded)])
            groups |= set(hooks.shims)
        return seen, groups


def library_flags(name):
    """Return the compiler's flags of the library that a program is about; skip the test where it is not installed."""
    package = PACKAGES.get(name) or PACKAGES.get(name.partition("_")[0])
    if package is None:
        return []
    found = None
    if shutil.which("pkg-config"):
        command = ["pkg-config", "--cflags", "--libs", package]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found is None or found.returncode:
        if os.environ.get(REQUIRE_LIBRARIES):
            pytest.fail(f"{REQUIRE_LIBRARIES} is set, and {package} is not installed")
        pytest.skip(f"{package} is not installed")
    return found.stdout.split()


@pytest.fixture(params=["gcc", "clang"])
def case_of(request, toolchains, tmp_path):
    """Return a function that compiles a program and its twin."""
    toolchain = toolchains.get(request.param)
    if toolchain is None:
        pytest.skip(f"no working {request.param}")

    def compile_both(name, folder=PROGRAMS):
        programs = {}
        for racy in (False, True):
            programs[racy] = tmp_path / f"{name}-{racy}"
            flags = ["-std=c++20", "-g", "-O1", "-fPIC", "-fsanitize=thread", "-pthread", *(["-DRACY"] if racy else [])]
            command = [toolchain.candidate.cxx, *flags, folder / f"{SOURCES.get(name, name)}.cpp"]
            flags = ["-o", programs[racy], *library_flags(name), "-lrt"]
            subprocess.run([*command, *flags], check=True, timeout=120)
        return Case(name=name, family=request.param, launcher=toolchain.launcher, programs=programs)

    return compile_both


def test_every_program_is_run():
    assert {path.stem for path in PROGRAMS.glob("*.cpp")} == {SOURCES.get(name, name) for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_the_correct_program_is_quiet_and_its_twin_has_exactly_its_finding(name, case_of, companion, tmp_path):
    case = case_of(name)
    group, false_without = KINDS[name]
    quiet, used = case.findings(companion, tmp_path, racy=False)
    assert [len(run) for run in quiet] == [0] * RUNS
    # Qt's own threads have event descriptors.
    assert used <= {group, "descriptors"}
    assert group in used or case.family not in false_without
    twin, _ = case.findings(companion, tmp_path, racy=True)
    # The threads of a pool may race in two places of their work.
    assert [{finding.location.name for finding in run} for run in twin] == [{"g_raced"}] * RUNS
    # A runtime that has learnt it needs the shim no longer. What it has not learnt, not every run shows.
    turns = TURNS if case.family in false_without else 1
    false = any(runs_are_false(case, companion, tmp_path / f"turn{turn}") for turn in range(turns))
    assert false == (case.family in false_without)


def runs_are_false(case, companion, folder):
    folder.mkdir()
    without, used = case.findings(companion, folder, racy=False, shims=False)
    assert used == set()
    return any(without)


@pytest.mark.parametrize("name", [path.stem for path in sorted(UNSEEN.glob("*.cpp"))])
def test_what_nobody_reports_to_the_runtime_is_a_false_finding_and_hides_no_race(name, case_of, companion, tmp_path):
    case = case_of(name, UNSEEN)
    correct, _ = case.findings(companion, tmp_path, racy=False)
    assert {finding.location.name for run in correct for finding in run} == {"g_handed_over"}
    twin, _ = case.findings(companion, tmp_path, racy=True)
    assert all("g_raced" in {finding.location.name for finding in run} for run in twin)
