from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from python_tsan.errors import SubjectError
from python_tsan.render.registry import RENDERINGS
from python_tsan.result.codec import decode_result, encode_result, parts_of_result
from python_tsan.result.finding import PythonFrame, PythonStack
from python_tsan.result.model import (
    BaselineEntry,
    BaselineResult,
    BaselineState,
    Provenance,
    Rate,
    Result,
    SharedObject,
    Status,
    Subject,
    SuppressionUse,
    Verdict,
    VerdictStatus,
)
from python_tsan.versioned_json import encode

SCHEMA = Path(__file__).parents[2] / "docs" / "run-schema.json"


@pytest.fixture
def full(report_of):
    """Return a report with every section filled."""
    plain = report_of("race_global", "deadlock", "segv")
    return report_of(
        "race_global",
        "deadlock",
        "segv",
        python_stacks={
            plain.findings[0].fingerprint: PythonStack(
                frames=(PythonFrame(function="f", file="a.py", line=1),), thread="T1"
            )
        },
        verdict=Verdict(status=Status.FAILED, reason="2 findings", downgrades=("numpy is not instrumented",)),
        subjects=(
            Subject(
                command=("./embed", "--fast"),
                exit_codes=(66, 0),
                rate=Rate(found=1, runs=2, low=0.095, high=0.905),
                stacks=("stacks.txt",),
            ),
        ),
        audit=(SharedObject(path="/lib/libc.so.6", instrumented=False), SharedObject(path="/x.so", instrumented=None)),
        suppressions=(SuppressionUse(entry="race_top:dict_resize", matched=3, file="s.txt", line=2, reason="cpython"),),
        baseline=BaselineResult(
            file="baseline.toml", entries=(BaselineEntry(fingerprint="ab", state=BaselineState.GONE),)
        ),
        provenance=Provenance(command=("python-tsan", "run"), facts={"kernel": "6.1"}, seeds={"a": 1}),
    )


def test_a_result_without_a_verdict_is_a_doubt_in_every_rendering(report_of):
    damaged = replace(report_of("race_global"), verdicts=())
    assert damaged.verdict.status is VerdictStatus.COULD_NOT_JUDGE
    for each in RENDERINGS.values():
        assert each.render(damaged)


def test_a_report_comes_back_as_it_was(full, everything):
    for report in (full, everything):
        assert decode_result(encode_result(report)) == report


def test_a_document_in_parts_is_that_of_the_whole_result(full, everything):
    one = replace(full, findings=full.findings[:1], fatal=())
    for report in (full, everything, one, replace(full, findings=())):
        assert b"".join(parts_of_result(report)) == encode(report)
    assert len(list(parts_of_result(full))) == len(full.findings) + 2
    assert b"".join(RENDERINGS["json"].parts(full)) == RENDERINGS["json"].render(full)
    assert list(RENDERINGS["sarif"].parts(full)) == [RENDERINGS["sarif"].render(full)]


def test_the_json_fits_the_published_schema(full, everything):
    schema = json.loads(SCHEMA.read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for report in (full, everything):
        validator.validate(json.loads(encode_result(report)))
    broken = json.loads(encode_result(full))
    broken["findings"][0]["kind"] = "data races"
    assert not validator.is_valid(broken)


def test_the_names_that_others_rely_on(full):
    told = json.loads(encode_result(full))
    assert told["schema"] == 2
    assert set(told) == set(Result.__struct_fields__)
    finding = told["findings"][0]
    assert finding["kind"] == "data race"
    assert finding["attribution"] == "yours"
    assert finding["status"] == "new"
    assert set(finding["sources"][0]) == {"file", "line"}
    assert finding["accesses"][0]["stack"]["frames"][0]["line"] == 25
    assert finding["location"]["kind"] == "global"
    assert told["findings"][1]["kind"] == "lock-order-inversion (potential deadlock)"
    assert set(told["unparsed"]) == {"count", "samples"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a run.json"),
        (b"[]", "not a run.json"),
        (b'{"schema": "2"}', "not a run.json"),
        (b'{"schema": 3}', "newer than this python-tsan: it has schema 3, and schema 2 is supported"),
        (b'{"schema": 1}', "older than this python-tsan"),
        (b'{"version": 1}', "x.json is a report of an older python-tsan, which is not supported"),
        (b'{"schema": 2, "kind": 7}', "not a run.json"),
        (b"\xff", "not a run.json"),
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(data, words):
    with pytest.raises(SubjectError, match=words):
        decode_result(data, name="x.json")


def test_half_a_report_is_refused(full):
    data = encode_result(full)
    with pytest.raises(SubjectError):
        decode_result(data[: len(data) // 2])
