import json

import pytest
from msgspec.structs import replace
from runs import RACY, run, verdict

from python_tsan.errors import ExitCode, SubjectError
from python_tsan.expectation import Outcome
from python_tsan.result.codec import decode_result, encode_result
from python_tsan.result.model import SCHEMA, Status

EVERYTHING = run(
    replace(verdict(outcome=Outcome.RACE), observations=(RACY,)),
    verdict("numpy/sum", Status.SKIPPED, runs=0, met=0, reason="needs numpy"),
    replaces="3.12.11",
)


def test_what_is_written_is_read():
    again = decode_result(encode_result(EVERYTHING))
    assert again == EVERYTHING
    assert again.findings[0].accesses[0].stack.frames[0].symbol == "bump(std::vector<int>&)"
    assert again.verdicts[0].observations[0].seen == {again.findings[0].fingerprint}


def test_the_file_is_made_for_people_and_programs():
    data = encode_result(EVERYTHING)
    plain = json.loads(data)
    assert data.endswith(b"}\n")
    assert plain["schema"] == SCHEMA
    assert [one["check"] for one in plain["verdicts"]] == ["gil/x", "numpy/sum"]
    assert plain["verdicts"][0]["status"] == "passed"
    assert plain["verdicts"][0]["observations"][0]["folder"].endswith("gil/x/1")
    assert plain["provenance"]["replaces"] == "3.12.11"
    assert plain["lanes"][0]["interpreter"]["source"]["sha256"] == "93e5"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ((Status.PASSED,), ExitCode.CLEAN),
        ((Status.PASSED, Status.SKIPPED), ExitCode.CLEAN),
        ((Status.PASSED, Status.FAILED), ExitCode.FINDINGS),
        ((Status.FAILED, Status.COULD_NOT_JUDGE), ExitCode.SUBJECT),
        ((Status.SKIPPED,), ExitCode.SUBJECT),
        ((), ExitCode.SUBJECT),
    ],
    ids=str,
)
def test_the_exit_code_of_a_run(status, code):
    assert run(*(verdict(status=one) for one in status)).exit_code is code


def test_a_newer_file_is_named_as_such():
    newer = encode_result(EVERYTHING).replace(b'"schema": 3', b'"schema": 4', 1)
    with pytest.raises(
        SubjectError, match="newer than this python-tsan: it has schema 4, and schema 3 is supported"
    ) as caught:
        decode_result(newer)
    assert "update python-tsan" in caught.value.advice


def test_an_older_file_is_named_as_such():
    older = encode_result(EVERYTHING).replace(b'"schema": 3', b'"schema": 1', 1)
    with pytest.raises(SubjectError) as caught:
        decode_result(older)
    assert "make the run again" in caught.value.advice


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"schema": "1"}',
        b'{"schema": 3, "kind": 1}',
        b"\xff\xfe",
        encode_result(EVERYTHING)[:-200],
    ],
    ids=str,
)
def test_a_file_that_is_no_run(data):
    with pytest.raises(SubjectError, match=r"here\.json is damaged or not a run"):
        decode_result(data, name="here.json")


def test_a_status_of_another_world_is_refused_with_its_place():
    with pytest.raises(SubjectError, match="verdicts"):
        decode_result(encode_result(EVERYTHING).replace(b'"skipped"', b'"perhaps"'))
