"""`run` and `replay` on compiled programs, as typed."""

import json
import subprocess
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.console import make_console
from python_tsan.errors import ExitCode
from python_tsan.paths import Layout
from python_tsan.toolchain import choose_toolchain

pytestmark = pytest.mark.compiler
GOLDEN = Path(__file__).parents[2] / "native" / "golden"
FORKS = """
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
int main() {
    std::thread other([] { sleep(1); });
    if (fork() == 0) { std::thread late([] {}); late.join(); _exit(0); }
    wait(nullptr);
    other.join();
}
"""
STUBBORN = """
#include <csignal>
#include <mutex>
#include <thread>
int main() {
    std::signal(SIGTERM, SIG_IGN);
    std::mutex lock;
    lock.lock();
    std::thread waits([&] { lock.lock(); });
    waits.join();
}
"""
SAFE = "int main() { return 0; }"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def build(tmp_path, monkeypatch, cache):
    """Return a function that compiles a program into the current folder, a new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(cache))
    toolchain = choose_toolchain(None, layout=Layout(root=cache), console=make_console(quiet=True))

    def compiled(source, name="program"):
        file = source if isinstance(source, Path) else tmp_path / f"{name}.cpp"
        if file is not source:
            file.write_text(source)
        command = [
            toolchain.candidate.cxx,
            "-std=c++17",
            "-g",
            "-O1",
            "-fsanitize=thread",
            "-pthread",
            file,
            "-o",
            name,
        ]
        subprocess.run(command, check=True)
        return f"./{name}"

    return compiled


def saved():
    return json.loads(Path("runs/latest/run.json").read_text())


def test_a_race_is_red_and_again_in_its_replay(build, capsys):
    program = build(GOLDEN / "race_global.cpp")
    assert main(["run", "--quiet", "--", program]) == ExitCode.FINDINGS
    report = saved()
    assert {finding["kind"] for finding in report["findings"]} == {"data race"}
    assert report["audit"][0]["path"].endswith("/program")
    assert report["audit"][0]["instrumented"] is True
    assert report["audit"][0]["build_id"]
    assert report["verdicts"][0]["downgrades"] == []
    folder = Path("runs/latest").resolve()
    capsys.readouterr()
    assert main(["replay", "--quiet", str(folder)]) == ExitCode.FINDINGS
    out = capsys.readouterr().out
    assert out.splitlines()[1] == "nothing recorded changed since the run"
    assert "0 new findings" in out
    build(GOLDEN / "race_heap.cpp")
    main(["replay", "--quiet", str(folder)])
    assert "program: " in capsys.readouterr().out.split("finding", 1)[0]


def test_a_program_without_a_race_is_green(build):
    assert main(["run", "--quiet", "--", build(SAFE)]) == ExitCode.CLEAN
    verdict = saved()["verdicts"][0]
    assert (verdict["status"], verdict["reason"], verdict["downgrades"]) == ("passed", "no new finding", [])
    assert (verdict["met"], verdict["runs"]) == (1, 1)


def test_a_baseline_turns_it_green_once_it_is_filled_in(build):
    program = build(GOLDEN / "race_global.cpp")
    assert main(["run", "--quiet", "--write-baseline", "known.toml", "--", program]) == ExitCode.FINDINGS
    known = Path("known.toml")
    assert main(["run", "--quiet", "--baseline", "known.toml", "--", program]) == ExitCode.USAGE
    known.write_text(known.read_text().replace('reason = ""', 'reason = "r"').replace('link = ""', 'link = "l"'))
    assert main(["run", "--quiet", "--baseline", "known.toml", "--", program]) == ExitCode.CLEAN
    build(SAFE)
    assert main(["run", "--quiet", "--baseline", "known.toml", "--", program]) == ExitCode.FINDINGS
    assert "no longer occurs" in saved()["verdicts"][0]["reason"]


def test_a_suppression_is_counted_as_the_runtime_counts_it(build):
    program = build(GOLDEN / "suppressed.cpp")
    Path("quiet.txt").write_text("race:known_writer\nrace:^nobody_is_called_this$\n")
    assert main(["run", "--quiet", "--suppressions", "quiet.txt", "--", program]) == ExitCode.CLEAN
    assert [use["matched"] for use in saved()["suppressions"]] == [1, 0]
    assert "race:^nobody_is_called_this$" in saved()["verdicts"][0]["downgrades"][-1]


def test_a_fork_after_threads_is_no_verdict_and_says_why(build):
    assert main(["run", "--quiet", "--", build(FORKS)]) == ExitCode.SUBJECT
    assert "forked after it had started threads" in saved()["verdicts"][0]["reason"]


def test_a_hang_that_ignores_the_polite_signal_ends_with_stacks(build):
    assert main(["run", "--quiet", "--timeout", "1", "--", build(STUBBORN)]) == ExitCode.FINDINGS
    report = saved()
    assert "still running at its deadline of 1 s" in report["verdicts"][0]["reason"]
    assert Path(report["subjects"][0]["stacks"][0]).read_text()
    assert any(each["path"].endswith("/program") for each in report["audit"])


def test_a_crash_is_no_doubt(build):
    assert main(["run", "--quiet", "--", build(GOLDEN / "segv.cpp")]) == ExitCode.FINDINGS
    assert "crashed: " in saved()["verdicts"][0]["reason"]


def test_a_driver_is_judged_by_its_children(build):
    build(GOLDEN / "race_global.cpp")
    assert main(["run", "--quiet", "--children", "--", "sh", "-c", "./program; true"]) == ExitCode.FINDINGS
    build(SAFE)
    assert main(["run", "--quiet", "--children", "--", "sh", "-c", "./program; true"]) == ExitCode.CLEAN
    assert main(["run", "--quiet", "--children", "--", "sh", "-c", "true"]) == ExitCode.SUBJECT
    assert main(["run", "--quiet", "--", "sh", "-c", "./program"]) == ExitCode.SUBJECT
