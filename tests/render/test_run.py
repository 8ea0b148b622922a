import json
from dataclasses import replace

import pytest
from runs import RACY, run, verdict

from python_tsan.checking.model import Status
from python_tsan.errors import ExitCode, SubjectError
from python_tsan.expectation import Outcome
from python_tsan.render.run import SCHEMA, decode_run, encode_run

EVERYTHING = run(
    replace(verdict(outcome=Outcome.RACE), observations=(RACY,)),
    verdict("numpy/sum", Status.SKIPPED, runs=0, met=0, reason="needs numpy"),
    replaces="3.12.11",
)


def test_what_is_written_is_read():
    again = decode_run(encode_run(EVERYTHING))
    assert again == EVERYTHING
    assert again.verdicts[0].observations[0].findings[0].accesses[0].stack.frames[0].symbol == "bump(std::vector<int>&)"


def test_the_file_is_made_for_people_and_programs():
    data = encode_run(EVERYTHING)
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
    newer = encode_run(EVERYTHING).replace(b'"schema": 1', b'"schema": 2', 1)
    with pytest.raises(SubjectError, match="has schema 2; this version reads 1") as caught:
        decode_run(newer)
    assert "update python-tsan" in caught.value.advice


def test_an_older_file_is_named_as_such():
    older = encode_run(EVERYTHING).replace(b'"schema": 1', b'"schema": 0', 1)
    with pytest.raises(SubjectError) as caught:
        decode_run(older)
    assert "make the run again" in caught.value.advice


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'{"schema": "1"}', b'{"schema": 1}', b"\xff\xfe", encode_run(EVERYTHING)[:-200]],
    ids=str,
)
def test_a_file_that_is_no_run(data):
    with pytest.raises(SubjectError, match=r"here\.json is not a run"):
        decode_run(data, name="here.json")


def test_a_status_of_another_world_is_refused_with_its_place():
    with pytest.raises(SubjectError, match="verdicts"):
        decode_run(encode_run(EVERYTHING).replace(b'"skipped"', b'"perhaps"'))
