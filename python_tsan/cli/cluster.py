"""Let the workers of a dask cluster make the runs of `run`: a shard is a task, and the result is that of `merge`.

The functions for workers travel with the task, by value: a worker needs the same python-tsan, but not this module.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan import __version__
from python_tsan.errors import Interrupted, SubjectError, UsageError
from python_tsan.plain_text import counted
from python_tsan.process import keeping
from python_tsan.result.codec import decode_result
from python_tsan.result.merge import unite
from python_tsan.result.model import VerdictStatus

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from distributed import Client, Future

    from python_tsan.console import Console
    from python_tsan.result.model import Result

SCHEME = "dask://"
# Each worker gets some shards, so that a fast one makes more of them; a shard is not so long that its loss hurts.
SHARDS_OF_A_THREAD = 4
MOST_RUNS = 500
CONNECT_SECONDS = 10
PAGE = "cluster"
# Variables that name places on this machine
OURS = ("PYTHON_TSAN_CACHE", "PYTHON_TSAN_OUTPUT", "PYTHONPATH", "PYTHONHOME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the workers run: the words of the command line without ``--cluster``, and where.

    ``archive`` makes an archive of the interpreter with this ``key``, for workers that do not have it; without a key
    the program needs none.
    """

    options: tuple[str, ...]
    command: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    repeat: int
    until_found: bool
    key: str = ""
    archive: Callable[[], bytes] = bytes

    @property
    def variables(self) -> dict[str, str]:
        """The variables for the workers: none that names a place on this machine."""
        return {name: value for name, value in self.env.items() if name not in OURS}


def without_cluster(words: Sequence[str]) -> tuple[str, ...]:
    """Return the options of a command line without ``--cluster`` and its value."""
    kept, skip = [], False
    for word in words:
        if not skip and word != "--cluster" and not word.startswith("--cluster="):
            kept.append(word)
        skip = word == "--cluster"
    return tuple(kept)


def refuse_conflicts(arguments: argparse.Namespace) -> None:
    """Raise :class:`UsageError` for an address or an option that makes no sense with a cluster."""
    if not arguments.cluster.startswith(SCHEME) or not arguments.cluster.removeprefix(SCHEME):
        raise UsageError(f"--cluster {arguments.cluster} is not the address of a scheduler", advice="dask://HOST:PORT")
    for name in ("shard", "write_baseline"):
        if getattr(arguments, name):
            raise UsageError(f"--cluster cannot be combined with --{name.replace('_', '-')}")


def parts_of(address: str, job: Job, console: Console) -> tuple[Result, ...]:
    """Let the cluster make the runs; return the parts, ready to be merged.

    A worker that ends loses nothing: dask gives its shards to others. A shard that fails is missing from the merge,
    and the reason is shown. Raises :class:`SubjectError` when no scheduler or no worker can be used, or no shard ended.
    """
    parts: list[tuple[str, Result]] = []
    problems: list[str] = []

    def interrupted() -> Interrupted:
        return Interrupted(f"{counted(len(parts), 'shard')} had ended", advice="run it again")

    with keeping(interrupted), _connected(address) as client:
        workers = _usable_workers(client, console)
        if job.key:
            _send_interpreter(client, workers, job, console)
        threads = client.nthreads()
        slots = sum(threads.get(worker, 1) for worker in workers)
        count = min(job.repeat, max(SHARDS_OF_A_THREAD * slots, -(-job.repeat // MOST_RUNS)))
        console.note(f"{counted(count, 'shard')} for {counted(slots, 'thread')} of {counted(len(workers), 'worker')}")
        futures = [
            client.submit(_work, _words(job, index, count), job.cwd, job.variables, workers=workers, pure=False)
            for index in range(1, count + 1)
        ]
        _collect(client, futures, job, console, (parts, problems))
    if not parts:
        raise SubjectError(f"no shard ended: {next(iter(problems), 'none was run')}", page=PAGE)
    return unite(parts)


def _words(job: Job, index: int, count: int) -> list[str]:
    return [*job.options, "--shard", f"{index}/{count}", "--quiet", "--", *job.command]


def _collect(
    client: Client,
    futures: list[Future],
    job: Job,
    console: Console,
    into: tuple[list[tuple[str, Result]], list[str]],
) -> None:
    """Collect parts, and the reasons for those that are missing, as shards end."""
    from distributed import as_completed  # noqa: PLC0415 -- of an extra

    parts, problems = into
    numbers = {future.key: number for number, future in enumerate(futures, 1)}
    try:
        for future in as_completed(futures):
            shard = f"shard {numbers[future.key]}/{len(futures)}"
            problem, data = _outcome(future)
            future.release()
            if problem:
                problems.append(f"{shard}: {problem}")
                console.warn(problems[-1])
                continue
            part = decode_result(data, name=shard)
            parts.append((shard, part))
            runs = sum(len(verdict.observations) for verdict in part.verdicts)
            console.note(f"{shard}: {counted(runs, 'run')}, {counted(len(part.failing), 'finding')}")
            if job.until_found and part.verdict.status is VerdictStatus.FINDINGS:
                console.note("found, so the shards that are left are cancelled")
                break
    finally:
        client.cancel(futures)


def _outcome(future: Future) -> tuple[str, bytes]:
    """Return why a shard has no result, or that."""
    if future.status != "finished":
        error = future.exception()
        return f"{type(error).__name__}: {error}".partition("\n")[0], b""
    problem, data = future.result()
    return str(problem), bytes(data)


def _connected(address: str) -> Client:
    try:
        from distributed import Client  # noqa: PLC0415 -- of an extra
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
            client = Client(f"tcp://{address.removeprefix(SCHEME)}", timeout=CONNECT_SECONDS)
    except Exception as error:  # another version may answer anything
        raise SubjectError(
            f"no dask scheduler could be reached at {address}: {type(error).__name__}",
            advice="start it with `dask scheduler`, and check the address",
            page=PAGE,
        ) from error
    return client


def _usable_workers(client: Client, console: Console) -> list[str]:
    """Return the workers that are like this machine; warn of each other one.

    Raises :class:`SubjectError` if no worker is left, or if the scheduler has another version of dask.
    """
    versions = client.get_versions()
    here = versions["client"]["packages"]
    there = versions["scheduler"]["packages"].get("distributed")
    if there != here["distributed"]:
        raise SubjectError(
            f"the scheduler has distributed {there}, and this machine {here['distributed']}",
            advice="install the same version on both",
            page=PAGE,
        )
    ours = _describe() | {"python-tsan": __version__}
    usable = []
    for worker, theirs in client.run(_describe, on_error="return").items():
        packages = versions["workers"].get(worker, {}).get("packages", {})
        wrong = _differences(ours, theirs) or _differences(
            {name: str(here[name]) for name in ("python", "distributed")},
            {name: str(packages.get(name)) for name in ("python", "distributed")},
        )
        if wrong:
            console.warn(f"worker {worker} is left out: {wrong}")
        else:
            usable.append(worker)
    if not usable:
        raise SubjectError(
            "the cluster has no worker that is like this machine",
            advice="start workers with the same python-tsan, Python, distributed, CPU and libc",
            page=PAGE,
        )
    return usable


def _differences(ours: Mapping[str, str], theirs: object) -> str:
    if not isinstance(theirs, dict):
        return f"it cannot run a function: {theirs}".partition("\n")[0]
    return ", ".join(
        f"{name} {theirs.get(name)}, here {value}" for name, value in ours.items() if theirs.get(name) != value
    )


def _send_interpreter(client: Client, workers: list[str], job: Job, console: Console) -> None:
    """Restore the interpreter on each machine that lacks it; the archive travels once to each worker."""
    lacking = [worker for worker, has in client.run(_has, job.key, workers=workers).items() if not has]
    if not lacking:
        return
    data = job.archive()
    console.note(f"the interpreter travels to {counted(len(lacking), 'worker')}: {len(data) / 10**6:.0f} MB")
    for worker, problem in client.run(_restore, data, workers=lacking, on_error="return").items():
        if problem:
            console.warn(f"worker {worker} is left out: {problem}".partition("\n")[0])
            workers.remove(worker)
    if not workers:
        raise SubjectError("no worker could restore the interpreter", page=PAGE)


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
        return str(error)
    return "" if done.ok else _last_error(done.stderr)


def _work(words: list[str], cwd: str, env: dict[str, str]) -> tuple[str, bytes]:
    """Make the runs of one shard; return what went wrong, or an empty text and the result."""
    import tempfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from python_tsan import process  # noqa: PLC0415

    split = words.index("--")
    try:
        with tempfile.TemporaryDirectory(prefix="python-tsan-") as folder:
            command = [sys.executable, "-m", "python_tsan", "run", *words[:split], "--output", folder, *words[split:]]
            done = process.run(command, cwd=Path(cwd), env={**os.environ, **env})
            results = [file.read_bytes() for file in sorted(Path(folder).glob("[!.l]*/run.json"))]
    except OSError as error:
        return f"{error.strerror}: {error.filename}", b""
    return ("", results[0]) if results else (_last_error(done.stderr) or f"ended with {done.exit_code}", b"")


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    error = next((line for line in lines if "error: " in line), lines[-1] if lines else "")
    return error.removeprefix("python-tsan: ")
