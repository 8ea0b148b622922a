from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from python_tsan import storage
from python_tsan.errors import SubjectError
from python_tsan.render.registry import RENDERINGS
from python_tsan.result import codec
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
from python_tsan.tsan.finding import Frame, Stack
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
        assert b"".join(parts_of_result(report)) == encode_result(report)
    assert len(list(parts_of_result(full))) > len(full.findings)
    assert b"".join(RENDERINGS["json"].parts(full)) == RENDERINGS["json"].render(full)
    assert list(RENDERINGS["sarif"].parts(full)) == [RENDERINGS["sarif"].render(full)]


def test_each_frame_is_written_once(full, everything):
    for report in (full, everything):
        frames = json.loads(encode_result(report))["frames"]
        assert len({json.dumps(frame) for frame in frames}) == len(frames) > 0


@pytest.mark.parametrize(("limit", "value"), [("MOST_DOCUMENT_BYTES", 20_000), ("MOST_DOCUMENT_VALUES", 1_500)])
def test_a_large_document_is_read_row_by_row(full, monkeypatch, limit, value):
    many = replace(full, findings=full.findings * 20)
    data = encode_result(many)
    monkeypatch.setattr(storage, limit, value)
    assert storage.too_large(data)
    assert decode_result(data) == many
    in_one_line = json.dumps(json.loads(data)).encode()
    with pytest.raises(SubjectError, match="its findings are not in rows"):
        decode_result(in_one_line)
    with pytest.raises(SubjectError, match="damaged"):
        decode_result(data[: len(data) // 2])
    with pytest.raises(SubjectError, match="without its findings it is"):
        decode_result(data.replace(b'"package"', b'"package": "%s", "x"' % (b"," * 30_000), 1))
    with pytest.raises(SubjectError, match="a row of it is"):
        decode_result(data.replace(b'"raw":"', b'"raw":"' + b"," * 30_000, 1))


def test_a_large_document_of_schema_2_is_refused(full, monkeypatch):
    older = encode(replace(full, schema=2))
    monkeypatch.setattr(storage, "MOST_DOCUMENT_BYTES", 1_000)
    with pytest.raises(SubjectError, match="has schema 2 and is larger than"):
        decode_result(older)


def test_a_finding_of_very_many_occurrences_is_read(full, monkeypatch):
    monkeypatch.setattr(codec, "_LARGE_FINDING", 100)
    assert decode_result(encode_result(full)) == full
    monkeypatch.setattr(codec, "_MOST_PARTS", 3)
    with pytest.raises(SubjectError, match="a finding has more than 3 parts"):
        decode_result(encode_result(full))


def test_equal_frames_of_a_document_are_one_object(full):
    again = decode_result(encode_result(full))
    frames = [frame for finding in again.findings for origin in finding.origins if (frame := origin.frame)]
    stacks = [access.stack for finding in again.findings for access in finding.accesses]
    assert frames[0] is stacks[0].frames[0]


@pytest.mark.parametrize("symbol", ['operator""_x', "a\\", '{"index":0,"symbol":"f"}', ',"python":true}', "\u2028}\n"])
def test_any_symbol_comes_back(full, symbol):
    stack = Stack(frames=(Frame(index=0, symbol=symbol), Frame(index=1, file=symbol, python=True)), caption=symbol)
    odd = replace(full.findings[0], stacks=(stack, stack), raw=symbol, notes=(symbol,))
    report = replace(full, findings=(odd, *full.findings))
    assert decode_result(encode_result(report)) == report


def test_a_document_of_schema_2_is_read(full):
    older = encode(replace(full, schema=2))
    assert b'"index":' in older
    assert decode_result(older) == full


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
    assert told["schema"] == 3
    assert set(told) == {*Result.__struct_fields__, "frames"}
    finding = told["findings"][0]
    assert finding["kind"] == "data race"
    assert finding["attribution"] == "yours"
    assert finding["status"] == "new"
    assert set(finding["sources"][0]) == {"file", "line"}
    assert told["frames"][finding["accesses"][0]["stack"]["frames"][0]]["line"] == 25
    assert told["frames"][finding["origins"][0]["frame"]]["line"] == 25
    assert finding["location"]["kind"] == "global"
    assert told["findings"][1]["kind"] == "lock-order-inversion (potential deadlock)"
    assert set(told["unparsed"]) == {"count", "samples"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a run.json"),
        (b"[]", "not a run.json"),
        (b'{"schema": "2"}', "not a run.json"),
        (b'{"schema": 4}', "newer than this python-tsan: it has schema 4, and schema 3 is supported"),
        (b'{"schema": 1}', "older than this python-tsan"),
        (b'{"version": 1}', "x.json is a report of an older python-tsan, which is not supported"),
        (b'{"schema": 2, "kind": 7}', "not a run.json"),
        (b'{"schema": 3, "kind": 7}', "not a run.json"),
        (b'{"schema": 3, "frames": 7}', "not a run.json"),
        (b'{"schema": 3, "frames": [{}]}', "not a run.json"),
        (b'{"schema": 3, "findings": {}}', "not a run.json"),
        (b'{"schema": 3, "findings": [1]}', "not a run.json"),
        (b'{"schema": 3, "findings": [{"stacks": [{"frames": 1}]}]}', "not a run.json"),
        (b'{"schema": 3, "findings": [{"stacks": [{"frames": [0]}]}]}', "has the number 0, and there are 0 frames"),
        (b'{"schema": 3, "frames": [{"index": 0}], "findings": [{"origins": [{"frame": -1}]}]}', "has the number -1"),
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
