"""The JSON of a scan and its published schema."""

import json
from pathlib import Path

import jsonschema
import pytest
from import_samples import CONFIRMED, REFUTED, document

from python_tsan.errors import SubjectError
from python_tsan.imports.document import FORMAT

SCHEMA = Path(__file__).parents[2] / "docs" / "imports-schema.json"


def test_a_scan_comes_back_as_it_was():
    found = document(CONFIRMED, REFUTED, None, problems={"c": "no such module"}, main=("z",))
    assert FORMAT.decode(FORMAT.encode(found), name="x") == found


def test_the_json_fits_the_published_schema():
    schema = json.loads(SCHEMA.read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    told = json.loads(FORMAT.encode(document(CONFIRMED, None, problems={"c": "no"})))
    validator.validate(told)
    told["hazards"][0]["proof"]["answer"] = "maybe"
    assert not validator.is_valid(told)


def test_the_names_that_others_rely_on():
    told = json.loads(FORMAT.encode(document(CONFIRMED, None)))
    assert (told["schema"], told["python"]) == (2, "3.13.0")
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
        (b"", "not a scan of imports"),
        (b"[]", "not a scan of imports"),
        (b"\xff", "not a scan of imports"),
        (b'{"format": "python-tsan-imports", "version": 1}', "not a scan of imports"),
        (b'{"schema": 1}', "older than this python-tsan: it has schema 1"),
        (b'{"schema": 3}', "newer than this python-tsan: it has schema 3"),
        (b'{"schema": 2}', "not a scan of imports of python-tsan: Object missing required field"),
    ],
)
def test_what_is_no_scan_is_refused_with_a_reason(data, words):
    with pytest.raises(SubjectError, match=words):
        FORMAT.decode(data, name="x.json")
