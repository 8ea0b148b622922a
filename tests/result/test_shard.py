import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.errors import UsageError
from python_tsan.result.shard import JOB_SYSTEMS, Shard, parse_shard, part_of, share
from python_tsan.running.request import Request


@given(st.integers(1, 200), st.integers(1, 20))
def test_each_run_is_one_shards_and_the_shards_are_even(repeat, count):
    shares = [share(Shard(index=index, count=count), repeat) for index in range(1, count + 1)]
    assert sorted(number for each in shares for number in each) == list(range(1, repeat + 1))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_without_a_shard_all_runs_are_ours():
    assert share(None, 3) == range(1, 4)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "1/", "/2", "a/b", "-1/2", "1/2/3", " 1/2", "1.5/2"])
def test_what_names_no_part_is_refused(text):
    with pytest.raises(UsageError, match="is not a part of the runs"):
        parse_shard(text, {})


def test_a_part_is_read_and_written_alike():
    assert parse_shard("2/4", {}) == Shard(index=2, count=4)
    assert str(parse_shard("2/4", {})) == "2/4"


def test_a_shard_without_a_run_is_refused():
    with pytest.raises(UsageError, match="leaves no run for shard 3/4"):
        Request(command=("p",), cwd="/", repeat=2, shard=Shard(index=3, count=4))


def slurm(index, first, last, count):
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")
    return dict(zip(names, map(str, (index, first, last, count)), strict=True))


# What each job system sets for the third of four jobs.
THIRD_OF_FOUR = {
    "GitLab": {"CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "4", "GITLAB_CI": "true"},
    "GitHub": {"STRATEGY_JOB_INDEX": "2", "STRATEGY_JOB_TOTAL": "4", "GITHUB_ACTIONS": "true"},
    "Buildkite": {"BUILDKITE_PARALLEL_JOB": "2", "BUILDKITE_PARALLEL_JOB_COUNT": "4"},
    "CircleCI": {"CIRCLE_NODE_INDEX": "2", "CIRCLE_NODE_TOTAL": "4"},
    "Jenkins": {"CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "4", "NODE_NAME": "built-in"},
    "AWS Batch": {"AWS_BATCH_JOB_ARRAY_INDEX": "2", "AWS_BATCH_JOB_ARRAY_SIZE": "4"},
    "Kubernetes": {"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "4"},
    "Slurm, --array=1-4": slurm(3, 1, 4, 4),
    "Slurm, --array=0-3": slurm(2, 0, 3, 4),
    "Slurm, --array=10-25:5": slurm(20, 10, 25, 4),
    "two that agree": {**slurm(3, 1, 4, 4), "CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "4"},
}


@pytest.mark.parametrize("env", THIRD_OF_FOUR.values(), ids=THIRD_OF_FOUR)
def test_a_job_knows_its_place(env):
    assert parse_shard("auto", {"HOME": "/", **env}) == Shard(index=3, count=4)


@pytest.mark.parametrize("system", JOB_SYSTEMS, ids=lambda system: system.name)
def test_the_jobs_of_a_job_system_are_all_parts(system):
    envs = [{system.index: str(system.first + number), system.total: "5"} for number in range(5)]
    assert [str(parse_shard("auto", env)) for env in envs] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    for index in (system.first - 1, system.first + 5):
        with pytest.raises(UsageError, match=f"{system.index}={index} and {system.total}=5 are not a place"):
            parse_shard("auto", {system.index: str(index), system.total: "5"})


def test_a_single_job_of_an_array_is_the_whole():
    assert parse_shard("auto", slurm(7, 7, 7, 1)) == Shard(index=1, count=1)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "no variable says which of several jobs this is"),
        ({"CI_NODE_TOTAL": "1"}, "no variable says"),
        ({"JOB_COMPLETION_INDEX": "0"}, "not JOB_COMPLETIONS; the job's definition must set it"),
        ({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": ""}, "not CIRCLE_NODE_TOTAL; the system sets both"),
        ({"CI_NODE_INDEX": "one", "CI_NODE_TOTAL": "4"}, "are not a place"),
        ({"CI_NODE_INDEX": "\u0663", "CI_NODE_TOTAL": "4"}, "are not a place"),
        ({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "9" * 5000}, "are not a place"),
        (slurm(2, 1, 9, 4), "not a place in an array with equal steps"),
        (slurm(2, 1, 7, 4), "not a place"),
        (slurm(5, 1, 4, 4), "not a place"),
        (slurm(1, 1, 1, 2), "not a place"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT= are not a place"),
        ({**slurm(1, 1, 4, 4), "CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4"}, "2/4 of GitLab or Jenkins, 1/4 of Slurm"),
    ],
)
def test_a_place_that_is_not_known_is_never_guessed(env, said):
    with pytest.raises(UsageError, match=said) as caught:
        parse_shard("auto", env)
    assert caught.value.exit_code == 2


def test_the_parts_of_all_shards_are_every_item_once():
    parts = [part_of("abcdefg", Shard(index=index, count=3), "test") for index in (1, 2, 3)]
    assert parts == [("a", "d", "g"), ("b", "e"), ("c", "f")]


def test_a_part_without_an_item_is_refused():
    with pytest.raises(UsageError, match=r"^--shard 8/8: there are only 7 tests$"):
        part_of("abcdefg", Shard(index=8, count=8), "test")
