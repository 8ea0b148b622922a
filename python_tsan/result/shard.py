"""Share out the runs of one command among machines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from python_tsan.errors import UsageError
from python_tsan.plain_text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Item = TypeVar("Item")
# A longer number is no job system's.
MAX_DIGITS = 10
_SHARD = r"(?P<index>\d+)/(?P<count>\d+)"


class Shard(Struct, frozen=True, kw_only=True):
    """One machine's part: number ``index``, from 1, of ``count``."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


class JobSystem(Struct, frozen=True, kw_only=True):
    """The variables of a CI or batch system for several equal jobs: a job's index, from ``first``, and their number.

    ``total_by_user``: the system sets no number; the user's definition of the job sets ``total`` from it.
    """

    name: str
    index: str
    total: str
    first: int = 0
    total_by_user: bool = False


JOB_SYSTEMS = (
    # https://docs.gitlab.com/ci/variables/predefined_variables/ (jobs with `parallel`)
    # Jenkins has no such variables: an axis of this name with the numbers from 1, and CI_NODE_TOTAL in `environment`,
    # https://www.jenkins.io/doc/book/pipeline/syntax/#declarative-matrix
    JobSystem(name="GitLab or Jenkins", index="CI_NODE_INDEX", total="CI_NODE_TOTAL", first=1),
    # GitHub has no such variables: `env` takes them from strategy.job-index and strategy.job-total,
    # https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#strategy-context
    JobSystem(name="GitHub", index="STRATEGY_JOB_INDEX", total="STRATEGY_JOB_TOTAL"),
    # https://buildkite.com/docs/pipelines/configure/environment-variables
    JobSystem(name="Buildkite", index="BUILDKITE_PARALLEL_JOB", total="BUILDKITE_PARALLEL_JOB_COUNT"),
    # https://circleci.com/docs/reference/variables/
    JobSystem(name="CircleCI", index="CIRCLE_NODE_INDEX", total="CIRCLE_NODE_TOTAL"),
    # https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
    JobSystem(name="AWS Batch", index="AWS_BATCH_JOB_ARRAY_INDEX", total="AWS_BATCH_JOB_ARRAY_SIZE"),
    # https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode (Indexed)
    JobSystem(name="Kubernetes", index="JOB_COMPLETION_INDEX", total="JOB_COMPLETIONS", total_by_user=True),
)
# https://slurm.schedmd.com/job_array.html: the indices of an array are any numbers in equal steps.
_SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")
AUTO = "auto"


def parse_shard(text: str, env: Mapping[str, str]) -> Shard:
    """Read ``I/N``, or for ``auto`` what the system has set in ``env``; raises :class:`UsageError` for others."""
    if text == AUTO:
        return _shard_of_job(env)
    found = re.fullmatch(_SHARD, text)
    shard = Shard(index=int(found["index"]), count=int(found["count"])) if found else None
    if shard is None or not 1 <= shard.index <= shard.count:
        raise UsageError(
            f"--shard {text} is not a part of the runs",
            advice="write I/N with I from 1 to N, such as 2/4, or auto",
            page="merge",
        )
    return shard


def _shard_of_job(env: Mapping[str, str]) -> Shard:
    """Return the place of this job among equal ones. Raises :class:`UsageError` if it is unknown or ambiguous."""
    places = {system.name: _place(system, env) for system in JOB_SYSTEMS if system.index in env}
    if _SLURM[0] in env:
        places["Slurm"] = _slurm_place(env)
    if not places:
        raise _unknown("no variable says which of several jobs this is")
    if len(set(places.values())) > 1:
        which = ", ".join(f"{place} of {name}" for name, place in places.items())
        raise _unknown(f"this job has more than one place: {which}")
    return next(iter(places.values()))


def _place(system: JobSystem, env: Mapping[str, str]) -> Shard:
    index, total = env[system.index], env.get(system.total, "")
    if not total:
        source = "the job's definition must set it" if system.total_by_user else "the system sets both"
        raise _unknown(f"{system.index} is set, but not {system.total}; {source}")
    if not (_is_number(index) and _is_number(total) and 0 <= int(index) - system.first < int(total)):
        raise _unknown(f"{system.index}={index} and {system.total}={total} are not a place")
    return Shard(index=int(index) - system.first + 1, count=int(total))


def _slurm_place(env: Mapping[str, str]) -> Shard:
    texts = [env.get(name, "") for name in _SLURM]
    if all(map(_is_number, texts)):
        index, first, last, count = map(int, texts)
        step = (last - first) // (count - 1) if count > 1 else 1
        if step and first + step * (count - 1) == last and (index - first) % step == 0 and first <= index <= last:
            return Shard(index=(index - first) // step + 1, count=count)
    values = ", ".join(f"{name}={text}" for name, text in zip(_SLURM, texts, strict=True))
    raise _unknown(f"{values} are not a place in an array with equal steps")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < MAX_DIGITS


def _unknown(why: str) -> UsageError:
    return UsageError(f"--shard auto: {why}", advice="write --shard I/N, such as --shard 2/4", page="merge")


def share(shard: Shard | None, repeat: int) -> range:
    """Return the numbers, from 1, of the runs that are this shard's; all of them without one.

    Every number from 1 to ``repeat`` belongs to exactly one of the shards, and no two differ by more than one in size.
    """
    return range(1, repeat + 1) if shard is None else range(shard.index, repeat + 1, shard.count)


def part_of(items: Sequence[Item], shard: Shard, noun: str) -> tuple[Item, ...]:
    """Return one machine's part of the items; the parts together are all. Raises :class:`UsageError` for no item."""
    part = tuple(items[number - 1] for number in share(shard, len(items)))
    if not part:
        raise UsageError(f"--shard {shard}: there are only {counted(len(items), noun)}", page="merge")
    return part
