"""Processes other than the one that `run` starts: their options, and what outlives the program."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from python_tsan.cli.main import main
from python_tsan.console import make_console
from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import ExitCode
from python_tsan.paths import Layout, default_root
from python_tsan.result.model import Status
from python_tsan.running import leftovers
from python_tsan.running.companion import HookOutput, ProcessObjects, ProcessStart
from python_tsan.running.leftovers import NOT_ADOPTED, Orphans
from python_tsan.running.processes import (
    changed_options,
    included_options,
    restored_logs,
    weakening_options,
    without_end,
)
from python_tsan.toolchain import survey

# Before any test moves the cache.
INTERPRETERS = default_root() / "interpreters"
OURS = "exitcode=66:halt_on_error=0:history_size=7"
LOG = "/runs/1/logs/tsan"
RACER = Path(__file__).parents[2] / "native" / "golden" / "race_global.cpp"
DETACHED = "import subprocess; subprocess.Popen(['tail', '-F', '{mark}/none'], start_new_session=True)"
HANG = """
#include <mutex>
#include <thread>
std::mutex lock;
void waits_for_lock() { lock.lock(); }
int main() {
    lock.lock();
    std::thread other(waits_for_lock);
    other.join();
}
"""
GIL_HANG = """
#include <Python.h>
#include <atomic>
#include <mutex>
#include <thread>
std::mutex lock;
std::atomic<bool> has_lock{false};
void needs_gil() {
    lock.lock();
    has_lock = true;
    PyGILState_Ensure();
}
int main() {
    Py_Initialize();
    std::thread other(needs_gil);
    while (!has_lock) {}
    lock.lock();
    other.join();
}
"""
# Both threads write at any time, and the sanitizer sees no order between them: it finds the race in every run.
DAEMON = """
#include <atomic>
#include <cstdlib>
#include <thread>
#include <unistd.h>
int shared;
std::atomic<bool> written;
int main(int count, char**) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            sleep(count > 1 ? 600 : 1);
            std::thread other([] {
                shared = 1;
                written.store(true, std::memory_order_relaxed);
            });
            while (!written.load(std::memory_order_relaxed)) {
            }
            shared = 2;
            other.join();
        }
        _exit(0);
    }
}
"""
# Leaves a chain of processes, each started by one that has ended.
CHAIN = """
import os, sys, time
for number in range({length}):
    if os.fork():
        os._exit(0)
    os.setsid()
os.environ.clear()
code = "import time; time.sleep(0.5); open({path!r}, 'w').close(); time.sleep({seconds})"
os.execve(sys.executable, [sys.executable, "-ISc", code], {{}})
"""


def start(options, pid=7):
    return ProcessStart(pid=pid, parent=1, program="/bin/racer", options=options)


def replace_log(started):
    return msgspec.structs.replace(started, log=LOG)


def changed(*starts):
    return list(changed_options(HookOutput(reports={}, processes=(), starts=starts), options=OURS, logs={LOG}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (f"{OURS} log_path='{LOG}'", None),
        (f"{OURS}:second_deadlock_stack=0:report_bugs=true log_path={LOG}", None),
        ("log_path=/tmp/other", "logged elsewhere: log_path=/tmp/other"),
        ("", "logged elsewhere: no log_path, so to standard error"),
        (f"{OURS}:log_path={LOG}:report_bugs=0", "had other TSAN_OPTIONS: report_bugs=0"),
        (f"{OURS}:log_path={LOG}:exitcode=0", "had other TSAN_OPTIONS: exitcode=0"),
        (f"{OURS}:log_path={LOG}:suppressions=/s", "had other TSAN_OPTIONS: suppressions=/s"),
        ("log_path=/x:report_bugs=no", "logged elsewhere: log_path=/x, and had other TSAN_OPTIONS: report_bugs=no"),
    ],
)
def test_options_that_the_verdict_rests_on_are_compared(options, words):
    assert changed(start(options)) == ([f"process 7 (racer) {words}"] if words else [])


@pytest.mark.parametrize("name", ["include", "include_if_exists"])
def test_options_of_a_file_are_not_known(name):
    (words,) = included_options(f"{OURS}:{name}=/etc/tsan")
    assert words == f"your TSAN_OPTIONS have {name}=/etc/tsan, and what that file sets is not known"
    assert list(included_options(f"{OURS}:{name}=")) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (OURS, []),
        ("exitcode=0:halt_on_error=1:suppressions=/s:report_mutex_bugs=true:detect_deadlocks=yes", []),
        ("detect_deadlocks=no", ["detect_deadlocks=no"]),
        (
            "ignore_noninstrumented_modules=1 report_atomic_races=0",
            ["report_atomic_races=0", "ignore_noninstrumented_modules=1"],
        ),
    ],
)
def test_what_the_callers_options_leave_out_is_named(options, named):
    words = [f"Your TSAN_OPTIONS have {each}: what that leaves out was not judged." for each in named]
    assert list(weakening_options(options)) == words


def test_processes_with_the_same_options_are_one_sentence():
    starts = [start("log_path=/x", pid) for pid in (7, 8, 9)]
    assert changed(*starts) == ["process 7 (racer) and 2 other processes logged elsewhere: log_path=/x"]


def test_a_log_that_was_restored_is_no_doubt_and_named():
    starts = (
        replace_log(start("log_path=/x")),
        replace_log(start("", 8)),
        replace_log(start("", 9)),
        replace_log(start(f"{OURS}:log_path='{LOG}'", 10)),
    )
    hooks = HookOutput(reports={}, processes=(), starts=starts)
    assert changed(*starts) == []
    kept = "in TSAN_OPTIONS: the log was kept in the folder of this run"
    assert list(restored_logs(hooks)) == [
        f"process 7 (racer) had log_path=/x {kept}",
        f"process 8 (racer) and 1 other process had no log_path {kept}",
    ]


def test_a_process_that_left_no_record_of_its_end_is_named():
    ended = ProcessObjects(pid=7, hook="none", objects=())
    starts = tuple(start("", pid) for pid in (6, 7, 8))
    (words,) = without_end(HookOutput(reports={}, processes=(ended,), starts=starts), leaders={6})
    assert words.startswith("process 8 (racer) left no record of an orderly end")


def running(mark):
    """Return the processes whose command line has a text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                found += [entry.name] if os.fsencode(mark) in (entry / "cmdline").read_bytes() else []
    return found


def test_a_plain_process_that_outlives_the_program_is_ended_and_named(make_session, program, tmp_path):
    result, _ = make_session(program(DETACHED.format(mark=tmp_path))).run()
    assert any("outlived the program and was ended" in each for each in result.verdicts[0].downgrades)
    assert running(tmp_path / "none") == []


def test_a_daemon_is_ended_with_a_run_that_passes_its_deadline(make_session, program, tmp_path):
    code = f"{DETACHED.format(mark=tmp_path)}; import time; time.sleep(60)"
    result, _ = make_session(program(code), timeout=2.0).run()
    assert result.verdicts[0].status is Status.FAILED
    assert running(tmp_path / "none") == []


def test_a_process_that_has_cleared_its_environment_behind_a_chain_of_others_is_waited_for(
    make_session, program, tmp_path
):
    code = CHAIN.format(length=20, path=str(tmp_path / "came here"), seconds=0)
    result, _ = make_session(program(code)).run()
    assert (tmp_path / "came here").exists()
    assert not any("outlived" in each for each in result.verdicts[0].downgrades)


def test_such_a_process_that_stays_is_ended_and_named(make_session, program, tmp_path):
    code = CHAIN.format(length=5, path=str(tmp_path / "came here"), seconds=600)
    result, _ = make_session(program(code)).run()
    assert any("outlived the program and was ended" in each for each in result.verdicts[0].downgrades)
    assert running(tmp_path / "came here") == []


def test_orphans_that_end_while_the_program_runs_do_not_pile_up(make_session, program):
    code = """
import os, pathlib, time
for number in range(5):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.01)
        os._exit(0)
    os.wait()
def is_zombie(stat):
    try:
        state, parent = stat.read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state == "Z" and int(parent) == os.getppid()
time.sleep(0.5)
while any(map(is_zombie, pathlib.Path("/proc").glob("[0-9]*/stat"))):
    time.sleep(0.01)
"""
    result, _ = make_session(program(code), timeout=30.0).run()
    (observation,) = result.verdicts[0].observations
    assert (observation.exit_code, observation.timed_out) == (0, False)


def test_children_that_this_process_had_before_are_no_orphans_of_a_run():
    with subprocess.Popen(["sleep", "60"]) as before:
        with Orphans() as orphans:
            assert orphans.pids() == ()
            with subprocess.Popen(["sleep", "60"]) as after:
                assert orphans.pids() == (after.pid,)
                orphans.end()
        assert before.poll() is None
        before.kill()


def test_a_system_that_passes_no_orphans_on_leaves_a_doubt(make_session, program, monkeypatch):
    monkeypatch.setattr(leftovers, "_adopt", lambda **_on: False)
    result, _ = make_session(program("")).run()
    assert NOT_ADOPTED in result.verdicts[0].downgrades


def test_a_run_leaves_this_process_as_it_was(make_session, program):
    make_session(program("")).run()
    assert not leftovers._is_adopting()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=["clang", "gcc"])
def toolchain(request, cache):
    probes = survey(layout=Layout(root=cache), console=make_console(quiet=True)).probes
    found = [each.toolchain for each in probes if each.toolchain and each.toolchain.name.startswith(request.param)]
    if not found:
        pytest.skip(f"no {request.param}")
    return found[0]


@pytest.fixture
def run(toolchain, cache, tmp_path, monkeypatch):
    """Return a function that compiles a source, runs a command that starts it, and returns code and verdict."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(cache))

    def compile_and_run(source, *command, flags=()):
        file = source if isinstance(source, Path) else tmp_path / "source.cpp"
        if file is not source:
            file.write_text(source)
        flags = (*flags, "-std=c++17", "-g", "-O1", "-fsanitize=thread", "-pthread")
        subprocess.run([toolchain.candidate.cxx, file, "-o", "racer", *flags], check=True)
        code = main(["run", "--quiet", "--toolchain", toolchain.name, *command])
        return code, json.loads(Path("runs/latest/run.json").read_text())["verdicts"][0]

    return compile_and_run


@pytest.mark.compiler
@pytest.mark.parametrize("options", ["report_bugs=0", "exitcode=0 log_path=x"])
def test_children_whose_options_were_replaced_are_not_judged(run, options):
    command = ("--children", "--", "/bin/sh", "-c", f"TSAN_OPTIONS='{options}' ./racer; true")
    code, verdict = run(RACER, *command)
    assert verdict["status"] == ("could not judge" if "report_bugs" in options else "failed")
    assert code == (ExitCode.SUBJECT if "report_bugs" in options else ExitCode.FINDINGS)
    assert any("(racer) had other TSAN_OPTIONS: " in each for each in (verdict["reason"], *verdict["downgrades"]))


@pytest.mark.compiler
@pytest.mark.parametrize("options", ["log_path=elsewhere", "", "$TSAN_OPTIONS:log_path=elsewhere"])
def test_the_log_of_a_child_with_another_log_path_is_kept_with_the_run(run, options):
    command = ("--children", "--", "/bin/sh", "-c", f'TSAN_OPTIONS="{options}" ./racer 2>/dev/null; true')
    code, verdict = run(RACER, *command)
    assert (code, verdict["status"]) == (ExitCode.FINDINGS, "failed")
    assert [line for line in verdict["downgrades"] if "the log was kept in the folder of this run" in line]
    assert not list(Path().glob("elsewhere*"))


@pytest.mark.compiler
def test_a_child_without_the_environment_of_the_run_is_not_judged(run):
    source = "#include <unistd.h>\nint main(int count, char**) { sleep(count > 1 ? 3 : 0); }"
    code, verdict = run(source, "--children", "--", "/bin/sh", "-c", "./racer; env -i ./racer long; true")
    assert (code, verdict["status"]) == (ExitCode.SUBJECT, "could not judge")
    assert "(racer) ran without the environment of this run" in verdict["reason"]
    code, verdict = run(source, "--children", "--", "/bin/sh", "-c", "./racer; env -i sleep 1; ./racer long")
    assert (code, verdict["status"]) == (ExitCode.CLEAN, "passed")


# A program that has ended before anything can look at it.
STARTERS = [
    "env -i ./racer",
    "env -i PATH=. racer",
    '{python} -c \'import os; os.execve("./racer", ["racer"], {{}})\'',
    '{python} -c \'import os; os.environ.clear(); os.execvp("./racer", ["racer"])\'',
    '{python} -c \'import os; os.waitpid(os.posix_spawn("racer", ["racer"], {{}}), 0)\'',
    "{python} -c 'import subprocess; subprocess.run([\"./racer\"], env={{}})'",
    "cd /; env -i {folder}/racer",
]


@pytest.mark.compiler
@pytest.mark.parametrize("starter", STARTERS)
def test_a_child_without_the_environment_of_the_run_is_not_judged_however_short_it_lives(run, starter, tmp_path):
    words = starter.format(python=sys.executable, folder=tmp_path)
    code, verdict = run("int main() {}", "--children", "--", "/bin/sh", "-c", f"./racer; {words}; true")
    assert (code, verdict["status"]) == (ExitCode.SUBJECT, "could not judge")
    assert "(racer) was started without the environment of this run" in verdict["reason"]


@pytest.mark.compiler
def test_a_child_without_the_environment_of_the_run_that_is_not_instrumented_is_no_doubt(run):
    command = ("--children", "--", "/bin/sh", "-c", "./racer; env -i true; env -i ./missing; env -i sh -c :")
    assert run("int main() {}", *command)[0] == ExitCode.CLEAN


@pytest.mark.compiler
def test_a_child_that_adds_a_harmless_option_is_judged(run):
    command = ("--children", "--", "/bin/sh", "-c", 'TSAN_OPTIONS="$TSAN_OPTIONS:history_size=3" ./racer; true')
    code, verdict = run(RACER, *command)
    assert (code, verdict["status"]) == (ExitCode.FINDINGS, "failed")


@pytest.mark.compiler
def test_a_daemon_that_races_after_its_program_has_ended_is_judged(run):
    code, verdict = run(DAEMON, "--", "./racer")
    assert (code, verdict["status"]) == (ExitCode.FINDINGS, "failed")


@pytest.mark.compiler
def test_a_daemon_that_never_ends_is_not_judged_and_ended(run):
    began = time.monotonic()
    code, verdict = run(DAEMON, "--timeout", "3", "--", str(Path("racer").resolve()), "long")
    assert (code, verdict["status"]) == (ExitCode.SUBJECT, "could not judge")
    assert "(racer) outlived the program, was ended at the deadline of 3 s and not judged" in verdict["reason"]
    assert time.monotonic() - began < 60
    assert running(Path("racer").resolve()) == []


def threads_of(verdict):
    return [line for observation in verdict["observations"] for line in observation["hang"]]


@pytest.mark.compiler
def test_a_hang_names_the_owner_of_the_mutex(run, capsys):
    # Without the recorded locks, which explain it too: a library that is preloaded is not in every program.
    code, verdict = run(HANG, "--detect", "races", "--timeout", "4", "--", "./racer")
    assert code == ExitCode.FINDINGS
    assert ": hung" in verdict["reason"]
    waits, *others = threads_of(verdict)
    number, _, rest = waits.partition(" (racer) waits for the mutex 0x")
    owner = rest.partition(", which thread ")[2].partition(" holds")[0]
    assert number != owner
    assert waits.endswith("holds: waits_for_lock source.cpp:5")
    assert any(line.startswith(f"{owner} (racer)") and line.endswith(": main source.cpp:9") for line in others)
    assert f"thread: {owner} (racer)" in capsys.readouterr().out


@pytest.mark.compiler
def test_a_hang_names_the_holder_of_the_gil(run, toolchain):
    manifests = [read_manifest(each) for each in INTERPRETERS.glob(f"3.13*-{toolchain.name}-*")]
    if not (interpreter := next(filter(None, manifests), None)):
        pytest.skip(f"no interpreter was built with {toolchain.name}")
    library = interpreter.library.parent
    link = (f"-L{library}", f"-l{interpreter.library.name[3:].partition('.so')[0]}", f"-Wl,-rpath,{library}")
    command = ("--detect", "races", "--python", str(interpreter.prefix), "--timeout", "6", "--", "./racer")
    code, verdict = run(GIL_HANG, *command, flags=(f"-I{interpreter.include}", *link))
    assert code == ExitCode.FINDINGS
    lines = threads_of(verdict)
    (holder,) = [line for line in lines if "holds the GIL" in line]
    (waiting,) = [line for line in lines if "waits for the GIL" in line]
    assert "waits for the mutex 0x" in holder
    assert f"which thread {waiting.split()[0]} holds" in holder
    text = Path("runs/latest/1/stacks-python.txt").read_text()
    assert f"Thread {holder.split()[0]}, holds the GIL" in text
    assert "Current" not in text


COMPILED = """
extern "C" const char* __tsan_default_options() { return OPTIONS; }
extern "C" const char* __tsan_default_suppressions() { return SUPPRESSIONS; }
"""


def with_compiled(options="", suppressions=""):
    definitions = COMPILED.replace("OPTIONS", json.dumps(options)).replace("SUPPRESSIONS", json.dumps(suppressions))
    return RACER.read_text().replace('"ordered.hpp"', f'"{RACER.with_name("ordered.hpp")}"') + definitions


@pytest.mark.compiler
@pytest.mark.parametrize("options", ["report_bugs=0", "exitcode=0 log_path=/dev/null"])
def test_compiled_in_options_do_not_silence_the_runtime(run, options):
    code, verdict = run(with_compiled(options), "--", "./racer")
    assert (code, verdict["status"]) == (ExitCode.FINDINGS, "failed")


@pytest.mark.compiler
def test_a_compiled_in_suppression_of_everything_is_a_doubt(run, tmp_path):
    (tmp_path / "all.txt").write_text("race:*\n")
    for source in (with_compiled(suppressions="race:*"), with_compiled(f"suppressions={tmp_path / 'all.txt'}")):
        code, verdict = run(source, "--", "./racer")
        assert (code, verdict["status"]) == (ExitCode.SUBJECT, "could not judge")
        assert verdict["reason"].startswith("race:*, a suppression that the program has compiled in, matched 1 time")


@pytest.mark.compiler
def test_a_narrow_one_is_named(run):
    code, verdict = run(with_compiled(suppressions="race_top:careful"), "--", "./racer")
    assert (code, verdict["status"]) == (ExitCode.CLEAN, "passed")
    said = "race_top:careful, a suppression that the program has compiled in, matched 1 time."
    assert said in verdict["downgrades"]


@pytest.mark.compiler
def test_the_callers_own_options_do_not_silence_the_runtime(run, monkeypatch):
    monkeypatch.setenv("TSAN_OPTIONS", "report_bugs=0")
    assert run(RACER, "--", "./racer")[0] == ExitCode.FINDINGS


@pytest.mark.compiler
@pytest.mark.parametrize("command", [("/usr/bin/env", "./racer"), ("/bin/nice", "/bin/sh", "-c", "./racer; true")])
def test_races_behind_a_launcher_that_is_not_instrumented_are_not_passed_over(run, command):
    code, verdict = run(RACER, "--", *command)
    assert (code, verdict["status"]) == (ExitCode.SUBJECT, "could not judge")
    assert "(racer) ran under ThreadSanitizer, and races were not judged" in verdict["reason"]
    code, verdict = run(RACER, "--detect", "locks", "--", "/bin/sh", "-c", "./racer; true")
    assert "ran under ThreadSanitizer" not in verdict["reason"]


@pytest.mark.compiler
def test_races_that_were_requested_and_not_judged_leave_a_doubt(run):
    code, verdict = run(RACER, "--detect", "races,locks", "--", "/bin/nice", "/bin/true")
    assert code == ExitCode.SUBJECT
    assert verdict["reason"].startswith("races were requested and not judged")


ON_REPORT = """
namespace __tsan {
class ReportDesc;
__attribute__((used, visibility("default"))) bool OnReport(const ReportDesc*, bool) { return true; }
}
"""
LIMITED = """
#include <csignal>
#include <sys/resource.h>
__attribute__((constructor(200))) void limit() {
    const rlimit most{BYTES, BYTES};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &most);
}
"""


@pytest.mark.compiler
def test_a_program_that_decides_what_is_reported_is_not_called_clean(run):
    code, verdict = run(with_compiled() + ON_REPORT, "--", "./racer")
    assert (code, verdict["status"]) == (ExitCode.SUBJECT, "could not judge")
    assert "racer can keep reports from the log: it defines __tsan::OnReport" in verdict["reason"]


@pytest.mark.compiler
@pytest.mark.parametrize("limit", [0, 18, 19])
def test_a_log_that_was_cut_by_a_limit_of_the_file_size_is_a_doubt(run, limit):
    source = with_compiled() + LIMITED.replace("BYTES", str(limit))
    code, verdict = run(source, "--children", "--", "/bin/sh", "-c", "./racer; true")
    assert (code, verdict["status"]) == (ExitCode.SUBJECT, "could not judge")
    assert "could not be written to its end" in verdict["reason"]
