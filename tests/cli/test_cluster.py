"""Commands on a cluster, and `run --cluster`, with a real scheduler and two worker processes on loopback."""

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace

import pytest

from python_tsan.cli import cluster, shards
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


class Recorded:
    """A console that keeps the lines."""

    def __init__(self, on_line=lambda _text: None):
        self.lines, self.on_line = [], on_line

    def note(self, text):
        self.lines.append(text)
        self.on_line(text)

    warn = say = note


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

    def full(words, *more):
        if "1/8" in words:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp")
        return original(words, *more)

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


def work(*words, files=("*",), cwd=".", env=None, seconds=None):
    return cluster._work(list(words), list(files), str(cwd), env or {}, seconds)


def test_a_scheduler_that_this_version_cannot_talk_to_is_called_that(monkeypatch):
    def refused(*_, **__):
        raise TypeError("no such field")

    monkeypatch.setattr(distributed, "Client", refused)
    with pytest.raises(SubjectError, match=f"is not a scheduler of distributed {distributed.__version__}: TypeError"):
        cluster._client("dask://h:1")


def test_full_disks_and_damaged_tools_of_a_worker_are_one_line(monkeypatch):
    def full(**_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    assert work("x") == ("No space left on device: /tmp/x", {})


def test_a_command_that_could_not_write_its_error_had_a_full_disk(tmp_path, monkeypatch):
    (tmp_path / "silent.py").write_text("raise SystemExit(6)")
    assert work("silent", cwd=tmp_path) == ("exit 6", {})
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=4096))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert work("silent", cwd=tmp_path) == (f"No space left on device: {tmp_path}", {})


def test_a_shard_without_a_result_shows_the_error_of_its_run():
    problem, files = work("python_tsan", "run", "--output", cluster.FOLDER, "--", "./nothing", files=("*/run.json",))
    assert problem.startswith("error: ")
    assert problem.endswith("/nothing: no such file")
    assert files == {}


@pytest.fixture
def writer(tmp_path):
    """Write a module that writes files into the folder it is given, and ends with a code after some seconds."""
    (tmp_path / "writer.py").write_text(
        "import os, pathlib, sys, time\n"
        "folder, code, seconds = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])\n"
        "(folder / 'sub').mkdir()\n"
        "(folder / 'one').write_text(os.environ.get('MARK', ''))\n"
        "(folder / 'sub' / 'two').write_text('2')\n"
        "(folder / 'other').write_text('3')\n"
        "print('error: what went wrong', file=sys.stderr)\n"
        "time.sleep(seconds)\n"
        "sys.exit(code)\n"
    )
    return tmp_path


@pytest.mark.parametrize(("code", "problem"), [(0, ""), (1, ""), (5, "error: what went wrong")])
def test_what_a_command_wrote_comes_back_for_each_exit_code(writer, code, problem):
    words = ("writer", cluster.FOLDER, str(code), "0")
    files = {"one": b"x", "sub/two": b"2"}
    assert work(*words, files=("one", "*/two"), cwd=writer, env={"MARK": "x"}) == (problem, files)


def test_a_command_beyond_its_limit_is_ended_and_what_it_wrote_is_kept(writer):
    problem, files = work("writer", cluster.FOLDER, "0", "60", files=("one",), cwd=writer, seconds=1.0)
    assert problem.startswith("did not end within ")
    assert files == {"one": b""}


def test_a_module_that_a_worker_lacks_is_a_problem(tmp_path):
    problem, _ = work("no_such_module_here", cwd=tmp_path)
    assert problem.endswith("No module named no_such_module_here")


class FakeClient:
    """A cluster whose scheduler and workers say what a test needs."""

    status = "running"

    def __init__(self, *, scheduler="1", workers):
        self.scheduler, self.machines = scheduler, workers

    def nthreads(self):
        return dict.fromkeys(self.machines, 1)

    def get_versions(self):
        packages = {"python": "3.11.1", "distributed": "1"}
        workers = {name: {"packages": packages | own} for name, (_, own) in self.machines.items()}
        return {
            "client": {"packages": packages},
            "scheduler": {"packages": {"distributed": self.scheduler}},
            "workers": workers,
        }

    def run(self, function, workers, on_error):
        assert (function, on_error) == (cluster._describe, "return")
        return {name: self.machines[name][0] for name in workers}


SAME = cluster._describe()


@pytest.mark.parametrize(
    ("answer", "packages", "words"),
    [
        (SAME | {"libc": "musl 1"}, {}, "libc musl 1, here "),
        (SAME | {"CPU": "z80"}, {}, "CPU z80, here "),
        (SAME | {"python-tsan": "none"}, {}, "python-tsan none, here "),
        (TypeError("code() argument 13 must be str"), {"python": "3.14.1"}, "python 3.14.1, here 3.11.1"),
        (SAME, {"distributed": "2"}, "distributed 2, here 1"),
        (ModuleNotFoundError("x"), {}, "it cannot run a function: x"),
    ],
)
def test_a_worker_of_another_kind_is_left_out(answer, packages, words, capsys):
    client = FakeClient(workers={"a": (answer, packages), "b": (SAME, {})})
    assert cluster.Cluster(client=client, console=make_console()).workers() == {"b": 1}
    assert f"worker a is left out: {words}" in capsys.readouterr().err
    alone = FakeClient(workers={"a": (answer, packages)})
    with pytest.raises(SubjectError, match="no worker that is like this machine"):
        cluster.Cluster(client=alone, console=make_console(quiet=True)).workers()


def test_workers_that_come_later_are_examined_once_and_those_that_go_are_forgotten(monkeypatch, capsys):
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.0)
    client = FakeClient(workers={"a": (SAME, {})})
    here = cluster.Cluster(client=client, console=make_console())
    assert here.workers() == {"a": 1}
    client.machines = {"b": (SAME, {}), "c": (SAME | {"CPU": "z80"}, {})}
    assert here.workers() == here.workers() == {"b": 1}
    assert capsys.readouterr().err.count("worker c is left out") == 1
    client.machines = {}
    with pytest.raises(SubjectError, match="no worker is left"):
        here.workers()
    client.status = "closed"
    with pytest.raises(SubjectError, match="the scheduler has ended"):
        here.workers()


def test_a_scheduler_of_another_version_is_refused():
    with pytest.raises(SubjectError, match="the scheduler has distributed 2, and this machine 1"):
        cluster._refuse_version(FakeClient(scheduler="2", workers={}))


class Future:
    """A task that has ended."""

    def __init__(self, answer):
        self.status, self.answer = "finished", answer

    def result(self, timeout=None):
        assert timeout in {None, cluster.FETCH_SECONDS}
        return self.answer

    def done(self):
        return True


class FakeMachines:
    """Workers of which some have the interpreter; it counts what travels."""

    def __init__(self, has, problems=()):
        self.has, self.problems, self.sent = has, dict(problems), []

    def run(self, function, *_arguments, workers, **_options):
        assert function is cluster._has
        return {worker: self.has[worker] for worker in workers}

    def scatter(self, data, workers, **_options):
        self.sent += workers
        return data

    def submit(self, function, data, workers, **_options):
        assert (function, data) == (cluster._restore, b"x")
        return Future(self.problems.get(*workers, ""))


def test_the_interpreter_travels_once_to_each_worker_that_lacks_it(capsys):
    made = []
    needed = cluster.Needed(key="k", archive=lambda: made.append(1) or b"x")

    def left(machines):
        return cluster.Cluster(client=machines, console=make_console())._with_interpreter([*machines.has], needed)

    machines = FakeMachines({"a": True, "b": False, "c": False}, {"c": "disk full"})
    assert left(machines) == ["a", "b"]
    assert (machines.sent, made) == (["b", "c"], [1])
    assert "worker c is left out: disk full" in capsys.readouterr().err
    assert left(FakeMachines({"a": True})) == ["a"]
    assert made == [1]
    assert left(FakeMachines({"a": False}, {"a": "no"})) == []


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--cluster", "dask://h:1", "--repeat", "3"], ("--repeat", "3")),
        (["--repeat", "3", "--cluster=dask://h:1"], ("--repeat", "3")),
        (["--fact", "a=b"], ("--fact", "a=b")),
    ],
)
def test_the_workers_get_the_options_without_the_cluster(words, left):
    assert shards.without_cluster(words) == left


@pytest.mark.parametrize("address", ["host:1", "dask://", "tcp://h:1"])
def test_an_invalid_address_is_refused(address):
    with pytest.raises(UsageError, match="is not the address of a scheduler"):
        shards.refuse_conflicts(SimpleNamespace(cluster=address, shard="", write_baseline=""))


@pytest.mark.parametrize("option", ["shard", "write_baseline"])
def test_options_that_make_no_sense_with_a_cluster_are_refused(option):
    arguments = SimpleNamespace(**{"cluster": "dask://h:1", "shard": "", "write_baseline": ""} | {option: "1/2"})
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')}"):
        shards.refuse_conflicts(arguments)


def tasks_that_wait(folder, number):
    """Return tasks that write their number once a file is there."""
    (folder / "waiter.py").write_text(
        "import os, pathlib, sys, time\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "pathlib.Path(sys.argv[1], 'made').write_text(sys.argv[2])\n"
    )
    return [
        cluster.Task(name=f"{each}", words=("waiter", cluster.FOLDER, f"{each}"), files=("made",), cwd=str(folder))
        for each in range(number)
    ]


@pytest.fixture
def own_scheduler(tmp_path, monkeypatch):
    """Return a function that starts a scheduler with workers of one thread, each with its process, without nannies."""
    processes = []

    def start(*words):
        with (tmp_path / f"{len(processes)}.log").open("w") as log:
            command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
            processes.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log))
        return processes[-1]

    def started(workers):
        file = tmp_path / "scheduler.json"
        where, web = ("--scheduler-file", str(file)), ("--dashboard-address", "127.0.0.1:0")
        head = start("dask_scheduler", "--port", "0", "--host", "127.0.0.1", *where, *web)
        made = [start("dask_worker", *where, "--nthreads", "1", "--no-nanny", *web) for _ in range(workers)]
        with distributed.Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(workers)
            address = client.scheduler.address.replace("tcp://", "dask://")
        return address, head, made, lambda: start("dask_worker", *where, "--nthreads", "1", "--no-nanny", *web)

    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.5)
    yield started
    for process in processes:
        process.kill()
        process.wait()


def test_workers_that_all_end_are_replaced_by_those_that_come(own_scheduler, tmp_path):
    address, _, workers, add = own_scheduler(2)
    with cluster.connected(address, Recorded()) as here:
        ends = here.ended(tasks_that_wait(tmp_path, 5))
        assert here.workers()
        (tmp_path / "go").touch()
        numbers = [next(ends).files["made"]]
        (tmp_path / "go").unlink()
        for worker in workers:
            worker.kill()
        add()
        (tmp_path / "go").touch()
        numbers += [each.files["made"] for each in ends]
    assert sorted(numbers) == [b"0", b"1", b"2", b"3", b"4"]


TASK = cluster.Task(name="x", words=("x",), files=("*",), cwd="/")


class Lost(Future):
    """A task whose worker ended with the result, or one that was lost with the connection."""

    def __init__(self, error):
        super().__init__(None)
        self.error = error

    def result(self, timeout):
        assert timeout == cluster.FETCH_SECONDS
        raise self.error


@pytest.mark.parametrize("error", [TimeoutError(), CancelledError()])
def test_a_result_that_went_with_its_worker_is_made_again(error):
    assert cluster._ended(TASK, Lost(error)) is None


@pytest.mark.timeout(120)
def test_a_command_ends_when_its_task_is_cancelled(scheduler, tmp_path):
    pid = tmp_path / "pid"
    (tmp_path / "sleeper.py").write_text(
        "import os, time\nopen('pid.new', 'w').write(str(os.getpid()))\nos.rename('pid.new', 'pid')\ntime.sleep(600)\n"
    )
    with cluster.connected(scheduler, Recorded()) as here:
        task = cluster.Task(name="x", words=("sleeper",), files=("*",), cwd=str(tmp_path))
        future = here._submit(task, here.workers())
        while not pid.exists():
            time.sleep(0.05)
        future.cancel()
        while Path(f"/proc/{pid.read_text()}").exists():
            time.sleep(0.05)


@pytest.mark.parametrize(("which", "words"), [("workers", "no worker is left"), ("head", "the scheduler has ended")])
def test_a_cluster_that_ends_is_one_clear_line_and_what_was_done_is_kept(  # noqa: PLR0917 -- fixtures
    own_scheduler, build, tmp_path, monkeypatch, capsys, which, words
):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 3)
    monkeypatch.setattr(cluster, "FETCH_SECONDS", 3)
    address, head, workers, _ = own_scheduler(2)
    program = build(WAITS)
    go = tmp_path / "go"
    go.touch()

    def end(_console, text):
        if text.startswith("shard ") and go.exists():
            go.unlink()
            for process in {"head": [head], "workers": workers}[which]:
                process.kill()

    monkeypatch.setattr("python_tsan.console.Console.note", end)
    assert main(["run", "--cluster", address, "--repeat", "8", "--", program, str(go)]) == ExitCode.SUBJECT
    (line,) = [line for line in capsys.readouterr().err.splitlines() if " missing: " in line]
    assert line.endswith(words)
    result, _ = saved(tmp_path)
    assert len(result.verdicts[0].observations) >= 1
    assert "these are missing" in result.verdict.reason
    go.touch()  # and the programs that ran end


def test_no_path_of_this_machine_travels():
    assert cluster.variables({"PYTHONPATH": "/x", "TSAN_OPTIONS": "a=1"}) == {"TSAN_OPTIONS": "a=1"}


@pytest.mark.parametrize(("repeat", "threads", "count"), [(3, 8, 3), (100, 2, 8), (10_000, 2, 20)])
def test_each_thread_gets_some_shards_and_none_is_too_long(repeat, threads, count):
    given = {"options": ("--own", "x"), "command": ("./p", "--a"), "cwd": "/", "env": {}, "until_found": False}
    tasks = [*shards.Job(**given, repeat=repeat).shards(threads)]
    assert len(tasks) == count
    last = ("--own", "x", "--shard", f"{count}/{count}", "--quiet", "--output", cluster.FOLDER, "--", "./p", "--a")
    assert tasks[-1].words == ("python_tsan", "run", *last)


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SubjectError, match="needs the package distributed"):
        cluster._client("dask://h:1")
