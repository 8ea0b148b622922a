"""`run --cluster` with a real scheduler and two worker processes on loopback."""

import errno
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from python_tsan.cli import cluster
from python_tsan.cli.main import main
from python_tsan.console import make_console
from python_tsan.errors import ExitCode, SubjectError, UsageError
from python_tsan.paths import Layout
from python_tsan.result.codec import load_result
from python_tsan.result.merge import merge, unite
from python_tsan.result.runs import load_parts
from python_tsan.toolchain import choose_toolchain

distributed = pytest.importorskip("distributed")
SAFE = "int main() { return 0; }"
RACY = """
#include <pthread.h>
long counter;
static void* bump(void*) { ++counter; return nullptr; }
int main() {
    pthread_t one, other;
    pthread_create(&one, nullptr, bump, nullptr);
    pthread_create(&other, nullptr, bump, nullptr);
    pthread_join(one, nullptr);
    pthread_join(other, nullptr);
}
"""
# Waits for a file, so that a test decides when the runs end.
WAITS = """
#include <unistd.h>
int main(int, char** words) { while (access(words[1], F_OK)) usleep(10000); }
"""


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Return the address of a scheduler with two worker processes of one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("workers"))
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", processes=True
        ) as made:
            yield made.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def build(tmp_path, monkeypatch, cache):
    """Return a function that compiles a program into the current folder, a new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(cache))
    toolchain = choose_toolchain(None, layout=Layout(root=cache), console=make_console(quiet=True))

    def compiled(source):
        (tmp_path / "program.cpp").write_text(source)
        options = ("-g", "-O1", "-fsanitize=thread", "-pthread")
        subprocess.run([toolchain.candidate.cxx, *options, "program.cpp", "-o", "program"], check=True)
        return "./program"

    return compiled


def run(address, *words):
    return main(["run", "--cluster", address, "--quiet", *words])


def saved(tmp_path):
    (file,) = tmp_path.glob("runs/[!l]*/run.json")
    return load_result(file.parent), file.parent


@pytest.mark.compiler
def test_the_result_is_that_of_a_merge_of_all_runs(scheduler, build, tmp_path):
    assert run(scheduler, "--repeat", "11", "--", build(RACY)) == ExitCode.FINDINGS
    result, folder = saved(tmp_path)
    parts = unite(load_parts([str(folder)]))
    assert merge(parts) == result
    numbers = sorted(one.number for verdict in result.verdicts for one in verdict.observations)
    assert numbers == list(range(1, 12))
    assert len({part.shard_record.shard.count for part in parts}) == 1
    assert len(parts) == 8


@pytest.mark.compiler
def test_a_worker_that_is_killed_loses_nothing(scheduler, build, tmp_path):
    program = build(WAITS)
    with distributed.Client(scheduler.replace("dask://", "tcp://")) as client:
        before = client.run(os.getpid)
        go, killed = tmp_path / "go", []

        def kill_once(_console, text):
            if "shard" in text and not killed:
                victim = next(iter(before.values()))
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
                go.touch()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("python_tsan.console.Console.note", kill_once)
            assert run(scheduler, "--repeat", "9", "--", program, str(go)) == ExitCode.CLEAN
        assert killed[0] not in client.run(os.getpid).values()
    result, _ = saved(tmp_path)
    assert sorted(one.number for one in result.verdicts[0].observations) == list(range(1, 10))


@pytest.mark.compiler
def test_until_found_cancels_the_shards_that_are_left(scheduler, build, tmp_path):
    assert run(scheduler, "--repeat", "400", "--until-found", "--", build(RACY)) == ExitCode.FINDINGS
    result, _ = saved(tmp_path)
    assert len(result.verdicts[0].observations) < 10
    with distributed.Client(scheduler.replace("dask://", "tcp://")) as client:
        assert not [key for keys in client.processing().values() for key in keys if "_work" in str(key)][2:]


@pytest.mark.compiler
def test_a_shard_that_fails_is_shown_and_is_a_doubt(scheduler, build, tmp_path, monkeypatch, capsys):
    program = build(SAFE)

    def full(words, cwd, env):
        if "1/8" in words:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp")
        return original(words, cwd, env)

    original = cluster._work
    monkeypatch.setattr(cluster, "_work", full)
    assert main(["run", "--cluster", scheduler, "--repeat", "8", "--", program]) == ExitCode.SUBJECT
    assert "shard 1/8: OSError: [Errno 28] No space left on device" in capsys.readouterr().err
    result, _ = saved(tmp_path)
    assert "these are missing: 1" in result.verdict.reason
    assert len(result.verdicts[0].observations) == 7


@pytest.mark.compiler
def test_no_scheduler_is_one_clear_line(build, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    assert run("dask://127.0.0.1:9", "--repeat", "2", "--", build(SAFE)) == ExitCode.SUBJECT
    assert "no dask scheduler could be reached at dask://127.0.0.1:9" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*"))


def test_full_disks_and_damaged_tools_of_a_worker_are_one_line(tmp_path, monkeypatch):
    def full(**_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    problem, data = cluster._work(["--", "x"], str(tmp_path), {})
    assert (problem, data) == ("No space left on device: /tmp/x", b"")


def test_a_shard_without_a_result_shows_the_error_of_its_run(tmp_path):
    problem, data = cluster._work(["--", "./nothing"], str(tmp_path), {})
    assert problem.startswith("error: ")
    assert problem.endswith("/nothing: no such file")
    assert not data


class FakeClient:
    """A cluster whose scheduler and workers say what a test needs."""

    def __init__(self, *, scheduler="1", workers):
        self.scheduler, self.workers = scheduler, workers

    def get_versions(self):
        packages = {"python": "3.11.1", "distributed": "1"}
        workers = {name: {"packages": packages | own} for name, (_, own) in self.workers.items()}
        return {
            "client": {"packages": packages},
            "scheduler": {"packages": {"distributed": self.scheduler}},
            "workers": workers,
        }

    def run(self, function, on_error):
        assert (function, on_error) == (cluster._describe, "return")
        return {name: answer for name, (answer, _) in self.workers.items()}


SAME = cluster._describe()


@pytest.mark.parametrize(
    ("answer", "packages", "words"),
    [
        (SAME | {"libc": "musl 1"}, {}, "libc musl 1, here "),
        (SAME | {"CPU": "z80"}, {}, "CPU z80, here "),
        (SAME | {"python-tsan": "none"}, {}, "python-tsan none, here "),
        (SAME, {"python": "3.14.1"}, "python 3.14.1, here 3.11.1"),
        (SAME, {"distributed": "2"}, "distributed 2, here 1"),
        (ModuleNotFoundError("x"), {}, "it cannot run a function: x"),
    ],
)
def test_a_worker_of_another_kind_is_left_out(answer, packages, words, capsys):
    client = FakeClient(workers={"a": (answer, packages), "b": (SAME, {})})
    assert cluster._usable_workers(client, make_console()) == ["b"]
    assert f"worker a is left out: {words}" in capsys.readouterr().err
    with pytest.raises(SubjectError, match="no worker that is like this machine"):
        cluster._usable_workers(FakeClient(workers={"a": (answer, packages)}), make_console(quiet=True))


def test_a_scheduler_of_another_version_is_refused():
    with pytest.raises(SubjectError, match="the scheduler has distributed 2, and this machine 1"):
        cluster._usable_workers(FakeClient(scheduler="2", workers={}), make_console(quiet=True))


class FakeMachines:
    """Workers of which some have the interpreter; it counts what travels."""

    def __init__(self, has, problems=()):
        self.has, self.problems, self.sent = has, dict(problems), []

    def run(self, function, *_arguments, workers, **_options):
        if function is cluster._has:
            return {worker: self.has[worker] for worker in workers}
        assert function is cluster._restore
        self.sent += workers
        return {worker: self.problems.get(worker, "") for worker in workers}


def job(**changes):
    given = {"options": (), "command": ("./p",), "cwd": "/", "env": {}, "repeat": 1, "until_found": False}
    return cluster.Job(**given | changes)


def test_the_interpreter_travels_once_to_each_worker_that_lacks_it():
    machines, workers, made = FakeMachines({"a": True, "b": False, "c": False}, {"c": "disk full"}), ["a", "b", "c"], []
    asked = job(key="k", archive=lambda: made.append(1) or b"x")
    cluster._send_interpreter(machines, workers, asked, make_console(quiet=True))
    assert (machines.sent, made, workers) == (["b", "c"], [1], ["a", "b"])
    cluster._send_interpreter(FakeMachines({"a": True}), ["a"], asked, make_console(quiet=True))
    assert made == [1]
    with pytest.raises(SubjectError, match="no worker could restore"):
        cluster._send_interpreter(FakeMachines({"a": False}, {"a": "no"}), ["a"], asked, make_console(quiet=True))


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--cluster", "dask://h:1", "--repeat", "3"], ("--repeat", "3")),
        (["--repeat", "3", "--cluster=dask://h:1"], ("--repeat", "3")),
        (["--fact", "a=b"], ("--fact", "a=b")),
    ],
)
def test_the_workers_get_the_options_without_the_cluster(words, left):
    assert cluster.without_cluster(words) == left


@pytest.mark.parametrize("address", ["host:1", "dask://", "tcp://h:1"])
def test_an_invalid_address_is_refused(address):
    with pytest.raises(UsageError, match="is not the address of a scheduler"):
        cluster.refuse_conflicts(SimpleNamespace(cluster=address, shard="", write_baseline=""))


@pytest.mark.parametrize("option", ["shard", "write_baseline"])
def test_options_that_make_no_sense_with_a_cluster_are_refused(option):
    arguments = SimpleNamespace(**{"cluster": "dask://h:1", "shard": "", "write_baseline": ""} | {option: "1/2"})
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')}"):
        cluster.refuse_conflicts(arguments)


def test_no_path_of_this_machine_travels():
    assert job(env={"PYTHONPATH": "/x", "TSAN_OPTIONS": "a=1"}).variables == {"TSAN_OPTIONS": "a=1"}


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SubjectError, match="needs the package distributed"):
        cluster._connected("dask://h:1")
