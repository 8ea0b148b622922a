"""Let a cluster make the runs of `run`: a shard is a task, and the result is that of `merge`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.cli.cluster import FOLDER, PAGE, Needed, Task, connected, refuse_address, variables
from python_tsan.errors import Interrupted, SubjectError, UsageError
from python_tsan.plain_text import counted
from python_tsan.process import keeping
from python_tsan.result.codec import decode_result
from python_tsan.result.merge import unite
from python_tsan.result.model import RUN_FILE, VerdictStatus

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from python_tsan.cli.cluster import Cluster
    from python_tsan.console import Console
    from python_tsan.result.model import Result

# Each worker gets some shards, so that a fast one makes more of them; a shard is not so long that its loss hurts.
SHARDS_OF_A_THREAD = 4
MOST_RUNS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the workers run: the words of the command line without ``--cluster``, and where."""

    options: tuple[str, ...]
    command: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    repeat: int
    until_found: bool
    interpreter: Needed | None = None

    def shards(self, threads: int) -> Iterator[Task]:
        """Yield the parts of the runs, for so many threads of all workers."""
        count = min(self.repeat, max(SHARDS_OF_A_THREAD * threads, -(-self.repeat // MOST_RUNS)))
        for index in range(1, count + 1):
            words = (*self.options, "--shard", f"{index}/{count}", "--quiet", "--output", FOLDER)
            yield Task(
                name=f"shard {index}/{count}",
                words=("python_tsan", "run", *words, "--", *self.command),
                files=(f"[!.l]*/{RUN_FILE}",),
                cwd=self.cwd,
                env=variables(self.env),
            )


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
    refuse_address(arguments.cluster)
    for name in ("shard", "write_baseline"):
        if getattr(arguments, name):
            raise UsageError(f"--cluster cannot be combined with --{name.replace('_', '-')}")


def parts_of(address: str, job: Job, console: Console) -> tuple[Result, ...]:
    """Let the cluster make the runs; return the parts, ready to be merged.

    A shard that fails is missing from the merge, and the reason is shown. Raises :class:`SubjectError` when no
    scheduler or no worker can be used, or no shard ended.
    """
    parts: list[tuple[str, Result]] = []
    problems: list[str] = []

    def interrupted() -> Interrupted:
        return Interrupted(f"{counted(len(parts), 'shard')} had ended", advice="run it again")

    with keeping(interrupted), connected(address, console, job.interpreter) as cluster:
        workers = cluster.workers()
        tasks = [*job.shards(sum(workers.values()))]
        threads = counted(sum(workers.values()), "thread")
        console.note(f"{counted(len(tasks), 'shard')} for {threads} of {counted(len(workers), 'worker')}")
        try:
            for name, part in _collected(cluster, tasks, console, problems):
                parts.append((name, part))
                if job.until_found and part.verdict.status is VerdictStatus.FINDINGS:
                    console.note("found, so the shards that are left are cancelled")
                    break
        except SubjectError as error:
            if not parts:
                raise
            console.warn(f"{counted(len(tasks) - len(parts), 'shard')} of {len(tasks)} missing: {error.message}")
    if not parts:
        raise SubjectError(f"no shard ended: {next(iter(problems), 'none was run')}", page=PAGE)
    return unite(parts)


def _collected(
    cluster: Cluster, tasks: Sequence[Task], console: Console, problems: list[str]
) -> Iterator[tuple[str, Result]]:
    """Yield the parts as shards end, and note the reasons for those that are missing."""
    with closing(cluster.ended(tasks)) as ends:
        for ended in ends:
            name = ended.task.name
            if not ended.files:
                problems.append(f"{name}: {ended.problem}")
                console.warn(problems[-1])
                continue
            (data,) = ended.files.values()
            part = decode_result(data, name=name)
            runs, found = counted(len(part.observations), "run"), counted(len(part.failing), "finding")
            console.note(f"{name}: {runs}, {found}")
            yield name, part
