from __future__ import annotations

import json
from pathlib import Path

import pytest

from python_tsan.errors import BuildError, ExitCode
from python_tsan.expectation import ExpectedFinding, Lane, Outcome
from python_tsan.harness.registry import read_registry

SOURCE = Path("/logs/list.log")
RACE = {
    "outcome": "race",
    "findings": [{"kind": "data race", "location": "g_x", "function": "f", "accesses": ["read", "write"]}],
}


def read(*entries):
    return read_registry(json.dumps(entries), source=SOURCE)


def test_every_field_arrives(entry):
    (found,) = read(
        entry("race", lanes=["full"], needs=["gil"], deadline_seconds=4.5, repeats=20, case="R2", expect=RACE)
    )
    assert found.lanes == (Lane.FULL,)
    assert found.needs == ("gil",)
    assert found.deadline_seconds == 4.5
    assert found.repeats == 20
    assert found.case == "R2"
    assert found.file == "native/scenarios/x.cpp"
    assert found.expect.outcome is Outcome.RACE
    assert found.expect.findings == (
        ExpectedFinding(kind="data race", location="g_x", function="f", accesses=("read", "write")),
    )


def test_values_keep_their_types(entry):
    (found,) = read(entry(expect={"values": {"count": 3, "right": True, "text": "x"}}))
    assert found.expect.values == {"count": 3, "right": True, "text": "x"}
    assert found.expect.values["right"] is True


def test_sorted_by_name(entry):
    assert [scenario.name for scenario in read(entry("b"), entry("a"))] == ["a", "b"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "lists no scenario"),
        ([("a", {}), ("a", {})], "two scenarios are named 'a'"),
        ([("a", {"twin": "b"})], "has the twin 'b', which is not listed"),
        ([("a", {"expect": {"outcome": "race"}})], "expects the outcome 'race' with 0 findings"),
        ([("a", {"expect": RACE | {"outcome": "clean"}})], "expects the outcome 'clean' with 1 finding"),
        ([("a", {"expect_free_threaded": RACE | {"findings": []}})], "expects the outcome 'race' with 0 findings"),
        ([("a", {"repeats": 0})], "would never be run"),
        ([("a", {"deadline_seconds": 0})], "would never be run"),
        ([("a", {"lanes": []})], "would never be run"),
        ([("a", {"lanes": ["slow"]})], "does not have the agreed shape"),
        ([("a", {"expect": {"outcome": "maybe"}})], "does not have the agreed shape"),
    ],
)
def test_a_list_that_cannot_be_used_is_a_build_error(entry, entries, reason):
    with pytest.raises(BuildError, match=reason) as raised:
        read(*(entry(name, **changes) for name, changes in entries))
    assert raised.value.evidence == SOURCE
    assert raised.value.exit_code is ExitCode.BUILD


def test_no_json_at_all_is_a_build_error():
    with pytest.raises(BuildError, match="agreed shape"):
        read_registry("Segmentation fault", source=SOURCE)


def test_an_entry_with_fields_missing_is_a_build_error():
    with pytest.raises(BuildError, match="missing required field"):
        read({"name": "a"})


def test_twins_may_name_each_other(entry):
    assert len(read(entry("a", twin="b"), entry("b", twin="a"))) == 2
