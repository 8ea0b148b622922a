"""The gates over real runs: a racy program and its safe twin, each under its own and the other's expectation."""

import os
import shutil
from pathlib import Path

import pytest

from python_tsan import process
from python_tsan.checking.environment import compose_environment
from python_tsan.checking.execution import observe
from python_tsan.expectation import Expectation, ExpectedFinding, Lane, Outcome
from python_tsan.result.judge.check import judge_check
from python_tsan.result.model import Status

pytestmark = pytest.mark.compiler

SOURCE = """
#include <mutex>
#include <thread>
long g_counter = 0;
std::mutex first, second;
__attribute__((noinline)) void bump() { g_counter = g_counter + 1; }
void safe_bump() { const std::lock_guard<std::mutex> lock(first); bump(); }
int main(int count, char**) {
    if (count > 2) {
        first.lock();
        std::thread never([] { safe_bump(); });
        never.join();
    }
    void (*work)() = count > 1 ? bump : safe_bump;
    std::thread one(work), two(work);
    one.join();
    two.join();
}
"""
SAFE = Expectation(outcome=Outcome.CLEAN)
RACY = Expectation(
    outcome=Outcome.RACE, findings=(ExpectedFinding(kind="data race", location="g_counter", function="bump"),)
)
HANG = Expectation(outcome=Outcome.HANG)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twins")
    (folder / "twins.cpp").write_text(SOURCE)
    # In the order of preference of the project: the compilers that this machine has may lack the runtime.
    for name in ("clang++-19", "clang++", "g++", "g++-12"):
        compiler = shutil.which(name)
        command = [
            compiler,
            "-fsanitize=thread",
            "-g1",
            "-O1",
            "-pthread",
            folder / "twins.cpp",
            "-o",
            folder / "twins",
        ]
        if compiler and process.run(command, timeout=60).ok:
            return folder / "twins"
    return pytest.skip("no C++ compiler here links a ThreadSanitizer runtime")


@pytest.fixture
def shown(program, tmp_path):
    """Return a function that runs the program with some arguments and gives its observation."""

    def run(*arguments, deadline=30.0, **env):
        environment = compose_environment({**os.environ, **env}).variables
        name = f"{len(arguments)}-{len(env)}"
        return observe([program, *arguments], folder=tmp_path / name, env=environment, deadline=deadline)

    return run


def status(expectation, observation):
    return judge_check("x", Lane.FAST, expectation, [observation]).status


def test_the_twins_are_distinguished(shown):
    racy, safe = shown("racy"), shown()
    assert (status(RACY, racy), status(SAFE, safe)) == (Status.PASSED, Status.PASSED)
    assert (status(SAFE, racy), status(RACY, safe)) == (Status.FAILED, Status.FAILED)
    assert racy.exit_code == 66
    assert {access.thread for access in racy.findings[0].accesses} == {1, 2}


def test_an_exit_code_that_the_user_chose_hides_nothing(shown):
    racy = shown("racy", TSAN_OPTIONS="exitcode=0")
    assert racy.exit_code == 0
    assert status(SAFE, racy) is Status.FAILED


def test_a_hang_is_ended_with_every_threads_stack(shown):
    hung = shown("hang", "for ever", deadline=2.0)
    assert status(HANG, hung) is Status.PASSED
    assert status(SAFE, hung) is Status.FAILED
    native = Path(hung.stacks[0]).read_text()
    assert native.count("Thread ") >= 2


def test_an_option_that_the_runtime_refuses_cannot_be_judged(shown):
    refused = shown(TSAN_OPTIONS="suppressions=/no/such/file")
    assert status(SAFE, refused) is Status.COULD_NOT_JUDGE
    assert status(RACY, refused) is Status.COULD_NOT_JUDGE
