"""Deaths and hangs that the runtime brings about, in programs that do no harm: named, with what helps."""

import os
import resource
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.checking.hang import describe_hang
from python_tsan.cli.main import main
from python_tsan.errors import ExitCode
from python_tsan.toolchain.model import Family

PROGRAMS = Path(__file__).with_name("programs")
WAITING = """\
Thread 1 (Thread 0x7fd3abd1e4c0 (LWP {tid}) "once"):
#0  0x00007fd3abeb20fe in __sanitizer::FutexWait (p=0x55) at ../../src/libsanitizer/sanitizer_linux.cpp:672
#1  0x00007fd3abe3cc90 in guard_acquire (thr=0x7f) at ../../src/libsanitizer/tsan/tsan_interceptors_posix.cpp:878
#2  0x00007fd3abe464dd in {once} (o=0x55) at ../../src/libsanitizer/tsan/tsan_interceptors_posix.cpp:1516
#3  0x0000555f035ee5ea in main () at once.cpp:9
"""
WORDS = "waits in call_once for a function that does not return"


def test_a_death_without_a_word_is_explained(make_session, program):
    result, _ = make_session(program("import os; os.kill(os.getpid(), 11)")).run()
    assert "ended by signal 11 (the runtime wrote nothing" in result.verdict.reason


def test_a_death_with_a_finding_is_not(make_session, program):
    result, _ = make_session(program("log.write_text('x'); import os; os.kill(os.getpid(), 11)")).run()
    assert "(the runtime wrote nothing" not in result.verdict.reason


def test_a_death_without_a_runtime_is_no_silence_of_it(make_session, program):
    session = make_session(program("import os; os.kill(os.getpid(), 11)"))
    session.prepared = replace(session.prepared, detect=("locks", "capi"))
    result, _ = session.run()
    assert result.verdict.reason.startswith("ended by signal 11")
    assert "(the runtime wrote nothing" not in result.verdict.reason


def hang_of(native):
    return describe_hang(os.getpid(), native=native.replace("{tid}", str(os.getpid())), python="").lines[0]


@pytest.mark.parametrize("once", ["__interceptor_pthread_once", "___interceptor_pthread_once", "pthread_once"])
def test_a_wait_in_call_once_is_recognised_in_the_stacks(once):
    assert WORDS in hang_of(WAITING.replace("{once}", once))


def test_frames_of_what_is_preloaded_are_no_places():
    native = """\
Thread 1 (Thread 0x7fd3abd1e4c0 (LWP {tid}) "waits"):
#0  operator() (__closure=<optimized out>) at /app/native/preload/locks/hooks.cpp:790
#1  sem_wait (semaphore=0x55) at /app/native/preload/locks/hooks.cpp:790
#2  0x0000555f035ee5ea in wait_for_it () at service.cpp:9
"""
    assert hang_of(native).endswith("): wait_for_it service.cpp:9")


def test_a_thread_inside_the_function_does_not_wait_for_it():
    inside = WAITING.replace("guard_acquire", "initialize").replace("{once}", "pthread_once")
    assert WORDS not in hang_of(inside)
    assert WORDS not in hang_of(WAITING.replace("{once}", "pthread_mutex_lock"))


@pytest.fixture
def run(of_family, survey_cache, tmp_path, monkeypatch, capsys):
    """Return a function that compiles a program with a family's compiler and returns what `run` prints of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(survey_cache))

    def runs(name, family, *options):
        toolchain = of_family.get(family)
        if toolchain is None:
            pytest.skip(f"no working {family.value}")
        source = PROGRAMS / f"{name}.cpp"
        flags = ["-O1", "-g", "-fsanitize=thread", "-pthread"]
        subprocess.run([toolchain.candidate.cxx, *flags, source, "-o", name], check=True, timeout=120)
        code = main(["run", "--toolchain", toolchain.name, *options, "--", f"./{name}"])
        return code, " ".join(capsys.readouterr().out.split())

    return runs


@pytest.mark.compiler
@pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
def test_an_exception_out_of_call_once_is_named_at_the_deadline(run, family):
    code, words = run("once", family, "--timeout", "3")
    assert code == ExitCode.FINDINGS
    assert WORDS in words


@pytest.mark.compiler
def test_too_many_nested_calls_are_named(run):
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard != resource.RLIM_INFINITY and hard < 1 << 28:
        pytest.skip("the stack is limited")
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 28, hard))
    try:
        code, words = run("deep", Family.GCC)
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
    assert code in {ExitCode.SUBJECT, ExitCode.FINDINGS}
    assert "a recursion deeper than 65,536" in words
