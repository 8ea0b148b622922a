"""The JSON of a scan and its published schema."""

import json
from pathlib import Path

import jsonschema
import pytest
from import_samples import CONFIRMED, REFUTED, document

from python_tsan.errors import SubjectError
from python_tsan.imports.codec import decode_document, document_schema, encode_document

SCHEMA = Path(__file__).parents[2] / "docs" / "imports-schema.json"


def test_a_scan_comes_back_as_it_was():
    found = document(CONFIRMED, REFUTED, None, problems={"c": "no such module"}, main=("z",))
    assert decode_document(encode_document(found), name="x") == found


def test_the_json_fits_the_published_schema():
    schema = json.loads(SCHEMA.read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    told = json.loads(encode_document(document(CONFIRMED, None, problems={"c": "no"})))
    validator.validate(told)
    told["hazards"][0]["proof"]["answer"] = "maybe"
    assert not validator.is_valid(told)


def test_the_published_schema_is_that_of_the_code():
    assert json.loads(SCHEMA.read_bytes()) == json.loads(document_schema()), "run `nox -s schemas`"


def test_the_names_that_others_rely_on():
    told = json.loads(encode_document(document(CONFIRMED, None)))
    assert (told["format"], told["version"], told["python"]) == ("python-tsan-imports", 1, "3.13.0")
    assert (told["entries"], told["modules"], told["standing"]) == (["a", "b"], 7, 2)
    first, second = told["hazards"]
    assert first["threads"][0] == {
        "thread": "T1",
        "imports": "a",
        "holds": "a",
        "waits_for": "b",
        "chain": [
            {"module": "a", "where": "", "statement": "", "lazy_where": "", "lazy_statement": ""},
            {
                "module": "c",
                "where": "/site/a.py:3",
                "statement": "import c  # asks",
                "lazy_where": "",
                "lazy_statement": "",
            },
        ],
        "asks": None,
    }
    assert first["removed_by"] == ["a", "b"]
    assert first["proof"]["at_least"] == pytest.approx(0.135)
    assert first["proof"]["graph"][0] == {"thread": "T2", "module": "a", "holder": "T1"}
    assert first["proof"]["stacks"][0]["frames"][1]["text"] == "import b"
    assert second["proof"] is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no scan of imports"),
        (b"[]", "no scan of imports"),
        (b"\xff", "no scan of imports"),
        (b'{"format": "python-tsan-imports", "version": 2}', "of version 2; this python-tsan reads"),
        (b'{"format": "other", "version": 1}', "is other of version 1"),
        (b'{"format": "python-tsan-imports", "version": 1}', "no scan of imports: Object missing required field"),
    ],
)
def test_what_is_no_scan_is_refused_with_a_reason(data, words):
    with pytest.raises(SubjectError, match=words):
        decode_document(data, name="x.json")
