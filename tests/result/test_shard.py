import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.errors import UsageError
from python_tsan.result.shard import Shard, parse_shard, share
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
        parse_shard(text)


def test_a_part_is_read_and_written_alike():
    assert parse_shard("2/4") == Shard(index=2, count=4)
    assert str(parse_shard("2/4")) == "2/4"


def test_a_shard_without_a_run_is_refused():
    with pytest.raises(UsageError, match="leaves no run for shard 3/4"):
        Request(command=("p",), cwd="/", repeat=2, shard=Shard(index=3, count=4))
