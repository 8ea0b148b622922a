"""Let the workers of a dask cluster run commands: shards of `run`, combinations of `matrix`, surveys of packages.

The functions for workers travel with the task, by value: a worker needs the same python-tsan, but not this module.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from python_tsan import __version__
from python_tsan.errors import SubjectError, UsageError
from python_tsan.plain_text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from distributed import Client, Future

    from python_tsan.console import Console

SCHEME = "dask://"
FOLDER = "\0folder"  # no word of a command line has a zero byte
CONNECT_SECONDS = 10
LEAST_BYTES = 1 << 20  # a disk with less is full
# A result stays on its worker until it is fetched; then some kilobytes travel.
FETCH_SECONDS = 30
# How often to look for workers that have come or gone
LOOK_SECONDS = 2.0
# Tasks for each thread that a worker has at a time: the next one is there when one ends.
AHEAD = 2
PAGE = "cluster"
# Variables that name places on this machine
OURS = ("PYTHON_TSAN_CACHE", "PYTHON_TSAN_OUTPUT", "PYTHONPATH", "PYTHONHOME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command for a worker.

    ``words`` follow ``python -m`` there. :data:`FOLDER` in them is a new folder, and what matches the patterns
    ``files`` in it is the result. ``seconds`` is the limit of the command.
    """

    name: str
    words: tuple[str, ...]
    files: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a task: its files by their path, and what went wrong in one line; there may be both."""

    task: Task
    files: Mapping[str, bytes]
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """An interpreter that tasks need: ``archive`` makes an archive of it, for workers without one of this ``key``."""

    key: str
    archive: Callable[[], bytes]


def refuse_address(address: str) -> None:
    """Raise :class:`UsageError` for what is not the address of a scheduler."""
    if not address.startswith(SCHEME) or not address.removeprefix(SCHEME):
        raise UsageError(f"--cluster {address} is not the address of a scheduler", advice="dask://HOST:PORT")


def variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for workers: none that names a place on this machine."""
    return {name: value for name, value in env.items() if name not in OURS}


@contextlib.contextmanager
def connected(address: str, console: Console, needed: Needed | None = None) -> Iterator[Cluster]:
    """Connect with the scheduler. Raises :class:`SubjectError` if it does not answer, or has another version."""
    with _client(address) as client:
        _refuse_version(client)
        yield Cluster(client=client, console=console, needed=needed)


@dataclass(kw_only=True)
class Cluster:
    """A scheduler, and the workers that are like this machine; they may come and go."""

    client: Client
    console: Console
    needed: Needed | None = None
    _like_us: dict[str, bool] = field(default_factory=dict)
    _usable: dict[str, int] = field(default_factory=dict)
    _fresh_until: float = 0.0

    def workers(self) -> dict[str, int]:
        """Return the workers that can be used, each with its number of threads; new ones get the interpreter.

        Raises :class:`SubjectError` without any; if there was one before, only after some time.
        """
        if time.monotonic() < self._fresh_until:
            return self._usable
        until = time.monotonic() + (CONNECT_SECONDS if self._usable else 0)
        self._usable = self._look()
        while not self._usable:
            if time.monotonic() >= until:
                raise self._without_workers()
            time.sleep(LOOK_SECONDS / 10)
            self._usable = self._look()
        self._fresh_until = time.monotonic() + LOOK_SECONDS
        return self._usable

    def ended(self, tasks: Iterable[Task]) -> Generator[Ended]:
        """Have all tasks run and yield them as they end; to close the generator cancels the others.

        A task of a worker that ends is given to another one. Raises as :meth:`workers` does: what was not yielded by
        then is missing.
        """
        left = deque(tasks)
        running: dict[Future, tuple[Task, frozenset[str]]] = {}
        done: SimpleQueue[Future] = SimpleQueue()
        try:
            while left or running:
                workers = self.workers()
                for future, (task, places) in [*running.items()]:
                    if places.isdisjoint(workers):
                        del running[future]
                        future.cancel()
                        left.appendleft(task)
                while left and len(running) < AHEAD * sum(workers.values()):
                    future = self._submit(left[0], workers)
                    running[future] = left.popleft(), frozenset(workers)
                    future.add_done_callback(done.put)
                try:
                    future = done.get(timeout=LOOK_SECONDS)
                except Empty:
                    continue
                if future in running:  # and not cancelled by us
                    task, _ = running.pop(future)
                    ended = _ended(task, future)
                    if ended:
                        yield ended
                    else:
                        self._fresh_until = 0.0
                        left.appendleft(task)
                future.release()
        finally:
            with contextlib.suppress(Exception):  # the scheduler may have ended
                self.client.cancel([*running])

    def _submit(self, task: Task, workers: Iterable[str]) -> Future:
        arguments = (list(task.words), list(task.files), task.cwd, dict(task.env), task.seconds)
        return self.client.submit(_work, *arguments, workers=[*workers], pure=False)

    def _look(self) -> dict[str, int]:
        """Examine the workers that have come, and return those that can be used."""
        threads = self._threads()
        if new := [worker for worker in threads if worker not in self._like_us]:
            try:
                like = _like_this_machine(self.client, new, self.console)
                if self.needed and like:
                    like = self._with_interpreter(like, self.needed)
            except OSError:  # the scheduler has ended
                return {}
            self._like_us |= {worker: worker in like for worker in new}
        return {worker: count for worker, count in threads.items() if self._like_us.get(worker)}

    def _threads(self) -> dict[str, int]:
        if self.client.status != "running":
            return {}
        try:
            return dict(self.client.nthreads())
        except Exception:  # noqa: BLE001 -- a scheduler that ends may answer anything
            return {}

    def _without_workers(self) -> SubjectError:
        if self.client.status != "running":
            return SubjectError("the scheduler has ended", advice="start it, and run it again", page=PAGE)
        if any(self._like_us.values()):
            return SubjectError("no worker is left", advice="start workers, and run it again", page=PAGE)
        return SubjectError(
            "the cluster has no worker that is like this machine",
            advice="start workers with the same python-tsan, Python, distributed, CPU and libc",
            page=PAGE,
        )

    def _with_interpreter(self, workers: list[str], needed: Needed) -> list[str]:
        """Restore the interpreter on each machine that lacks it; the archive travels once to each worker."""
        has = self.client.run(_has, needed.key, workers=workers, on_error="return")
        lacking = [worker for worker in workers if has.get(worker) is not True]
        if not lacking:
            return workers
        data = needed.archive()
        self.console.note(f"the interpreter travels to {counted(len(lacking), 'worker')}: {len(data) / 10**6:.0f} MB")
        # As a task: a worker that restores an interpreter still answers its scheduler.
        shared = self.client.scatter(data, workers=lacking, broadcast=True, hash=False)
        restoring = {
            worker: self.client.submit(_restore, shared, workers=[worker], pure=False, priority=1) for worker in lacking
        }
        problems = {worker: self._problem_of(worker, future) for worker, future in restoring.items()}
        for worker, problem in problems.items():
            if problem:
                self.console.warn(f"worker {worker} is left out: {problem}")
        return [worker for worker in workers if not problems.get(worker)]

    def _problem_of(self, worker: str, future: Future) -> str:
        """Wait for a task that only this worker can do; return what went wrong, or an empty text."""
        while not future.done():
            time.sleep(LOOK_SECONDS / 20)
            if not future.done() and worker not in self._threads():
                return "it has ended"
        if future.status != "finished":
            return _error_of(future)
        return str(future.result())


def _ended(task: Task, future: Future) -> Ended | None:
    """Return the end of a task, None if it is lost: with the connection, or with the worker that has its result."""
    if future.status == "error":
        return Ended(task=task, files={}, problem=_error_of(future))
    try:
        problem, files = future.result(timeout=FETCH_SECONDS)
    except (CancelledError, TimeoutError):
        return None
    return Ended(task=task, files=files, problem=problem)


def _error_of(future: Future) -> str:
    error = future.exception()
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _client(address: str) -> Client:
    try:
        import distributed  # noqa: PLC0415 -- of an extra
    except ModuleNotFoundError:
        raise SubjectError(
            "--cluster needs the package distributed", advice="pip install 'python-tsan[cluster]'", page="extra"
        ) from None
    import logging  # noqa: PLC0415 -- as above
    import warnings  # noqa: PLC0415

    import cloudpickle  # noqa: PLC0415

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is reported here, in one line
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that differ: they are compared here
            client = distributed.Client(f"tcp://{address.removeprefix(SCHEME)}", timeout=CONNECT_SECONDS)
    except OSError as error:
        raise SubjectError(
            f"no dask scheduler could be reached at {address}: {type(error).__name__}",
            advice="start it with `dask scheduler`, and check the address",
            page=PAGE,
        ) from error
    except Exception as error:
        raise SubjectError(
            f"{address} is not a scheduler of distributed {distributed.__version__}: {type(error).__name__}",
            advice="install the same version on both",
            page=PAGE,
        ) from error
    return client


def _refuse_version(client: Client) -> None:
    versions = client.get_versions()
    here = versions["client"]["packages"]["distributed"]
    there = versions["scheduler"]["packages"].get("distributed")
    if there != here:
        raise SubjectError(
            f"the scheduler has distributed {there}, and this machine {here}",
            advice="install the same version on both",
            page=PAGE,
        )


def _like_this_machine(client: Client, workers: list[str], console: Console) -> list[str]:
    """Return the workers that are like this machine; warn of each other one."""
    versions = client.get_versions()
    here = {name: str(versions["client"]["packages"][name]) for name in ("python", "distributed")}
    ours = _describe() | {"python-tsan": __version__}
    like = []
    for worker, theirs in client.run(_describe, workers=workers, on_error="return").items():
        packages = versions["workers"].get(worker, {}).get("packages", {})
        # Another Python cannot run a function of ours.
        wrong = _differences(here, {name: str(packages.get(name)) for name in here}) or _differences(ours, theirs)
        if wrong:
            console.warn(f"worker {worker} is left out: {wrong}")
        else:
            like.append(worker)
    return like


def _differences(ours: Mapping[str, str], theirs: object) -> str:
    if not isinstance(theirs, dict):
        return f"it cannot run a function: {theirs}".partition("\n")[0]
    return ", ".join(
        f"{name} {theirs.get(name)}, here {value}" for name, value in ours.items() if theirs.get(name) != value
    )


# What follows runs on workers.


def _describe() -> dict[str, str]:
    """Return what decides whether a run here means the same as elsewhere."""
    import importlib.util  # noqa: PLC0415 -- everything that a function needs on a worker is in it
    import platform  # noqa: PLC0415

    version = "none"
    if importlib.util.find_spec("python_tsan"):
        from python_tsan import __version__ as version  # noqa: PLC0415
    return {"python-tsan": version, "CPU": platform.machine(), "libc": " ".join(platform.libc_ver())}


def _has(key: str) -> bool:
    """Report whether this machine has an interpreter."""
    from python_tsan.cpython.manifest import MANIFEST_NAME  # noqa: PLC0415
    from python_tsan.paths import Layout, default_root  # noqa: PLC0415

    return (Layout(root=default_root()).interpreters / key / MANIFEST_NAME).is_file()


def _restore(data: bytes) -> str:
    """Restore an interpreter from its archive; return what went wrong, or an empty text."""
    import tempfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from python_tsan import process  # noqa: PLC0415

    try:
        with tempfile.TemporaryDirectory(prefix="python-tsan-") as folder:
            archive = Path(folder, "interpreter.tar")
            archive.write_bytes(data)
            done = process.run([sys.executable, "-m", "python_tsan", "build", "--from", archive, "--quiet"])
    except OSError as error:
        return _of_system(error)
    return "" if done.ok else _last_error(done.stderr) or done.how


def _work(
    words: list[str], patterns: list[str], cwd: str, env: dict[str, str], seconds: float | None
) -> tuple[str, dict[str, bytes]]:
    """Run a command; return what went wrong, or an empty text, and its files."""
    import tempfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from python_tsan import process  # noqa: PLC0415

    try:
        with tempfile.TemporaryDirectory(prefix="python-tsan-") as folder:
            command = [sys.executable, "-m", *(word.replace(FOLDER, folder) for word in words)]
            done = process.run(command, cwd=Path(cwd), env={**os.environ, **env}, timeout=seconds, until=_cancelled())
            found = sorted({path for pattern in patterns for path in Path(folder).glob(pattern)})
            files = {str(path.relative_to(folder)): path.read_bytes() for path in found}
    except OSError as error:
        return _of_system(error), {}
    if done.timed_out:
        return f"did not end within {done.seconds:.0f} s", files
    return "" if files and done.exit_code in {0, 1} else _last_error(done.stderr) or _full() or done.how, files


def _cancelled() -> Callable[[], bool]:
    """Return a function that reports whether the task of this thread has been cancelled, so that its command ends."""
    from distributed.worker import get_worker, thread_state  # noqa: PLC0415

    try:
        worker, key = get_worker(), thread_state.key
    except (AttributeError, ValueError):  # not a worker
        return lambda: False

    def is_cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return is_cancelled


def _full() -> str:
    """Return that the disk is full, if it is: then the command could not write why it failed."""
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    folder = tempfile.gettempdir()
    return f"No space left on device: {folder}" if shutil.disk_usage(folder).free < LEAST_BYTES else ""


def _of_system(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror or error)


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    error = next((line for line in lines if "error: " in line), lines[-1] if lines else "")
    return error.removeprefix("python-tsan: ")
