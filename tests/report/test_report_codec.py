from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from python_tsan.errors import SubjectError
from python_tsan.report.codec import decode_report, encode_report, report_schema
from python_tsan.report.model import (
    BaselineEntry,
    BaselineResult,
    BaselineState,
    Provenance,
    PythonFrame,
    PythonStack,
    Rate,
    Report,
    ReportVerdict,
    SharedObject,
    Subject,
    SuppressionUse,
    VerdictStatus,
)

SCHEMA = Path(__file__).parents[2] / "docs" / "report-schema.json"


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
        verdict=ReportVerdict(
            status=VerdictStatus.FINDINGS, reason="2 findings", downgrades=("numpy is not instrumented",)
        ),
        subject=Subject(
            command=("./embed", "--fast"),
            exit_codes=(66, 0),
            rate=Rate(found=1, runs=2, low=0.095, high=0.905),
            stacks=("stacks.txt",),
        ),
        audit=(SharedObject(path="/lib/libc.so.6", instrumented=False), SharedObject(path="/x.so", instrumented=None)),
        suppressions=(SuppressionUse(entry="race_top:dict_resize", matched=3, file="s.txt", line=2, reason="cpython"),),
        baseline=BaselineResult(
            file="baseline.toml", entries=(BaselineEntry(fingerprint="ab", state=BaselineState.GONE),)
        ),
        provenance=Provenance(command=("python-tsan", "run"), facts={"kernel": "6.1"}, seeds={"a": 1}),
    )


def test_a_report_comes_back_as_it_was(full, everything):
    for report in (full, everything):
        assert decode_report(encode_report(report)) == report


def test_the_json_fits_the_published_schema(full, everything):
    schema = json.loads(SCHEMA.read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for report in (full, everything):
        validator.validate(json.loads(encode_report(report)))
    broken = json.loads(encode_report(full))
    broken["findings"][0]["kind"] = "data races"
    assert not validator.is_valid(broken)


def test_the_published_schema_is_that_of_the_code():
    assert json.loads(SCHEMA.read_bytes()) == json.loads(report_schema()), "run `nox -s schemas`"


def test_the_names_that_others_rely_on(full):
    told = json.loads(encode_report(full))
    assert told["version"] == 1
    assert set(told) == {field.name for field in fields(Report)}
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
        (b"", "not a report"),
        (b"[]", "not a report"),
        (b'{"version": "1"}', "not a report"),
        (b'{"version": 2}', "version 2; this python-tsan reads 1"),
        (b'{"version": 1}', "not a report"),
        (b"\xff", "not a report"),
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(data, words):
    with pytest.raises(SubjectError, match=words):
        decode_report(data, name="x.json")


def test_half_a_report_is_refused(full):
    data = encode_report(full)
    with pytest.raises(SubjectError):
        decode_report(data[: len(data) // 2])
