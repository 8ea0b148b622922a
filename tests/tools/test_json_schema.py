"""The published schemas do not depend on how a release of msgspec formats docstrings and defaults."""

import json
from dataclasses import dataclass, field

import pytest

from tools.json_schema import published_schema
from tools.schemas import DOCS, SCHEMAS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Hold one thing.

    ``names`` are kept in order.
    """

    default: str = "a property may be called so"
    names: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    size: int = 3


def test_descriptions_have_no_indentation_and_empty_mappings_as_defaults_are_left_out():
    schema = json.loads(published_schema(Sample, "a sample"))
    sample = schema["$defs"]["Sample"]
    assert schema["title"] == "a sample"
    assert sample["description"] == "Hold one thing.\n\n``names`` are kept in order."
    assert sample["properties"]["default"]["default"] == "a property may be called so"
    assert sample["properties"]["size"]["default"] == 3
    assert sample["properties"]["names"]["default"] == []
    assert "default" not in sample["properties"]["facts"]


def test_the_schema_ends_with_one_line_feed():
    assert published_schema(Sample, "a sample").endswith(b"}\n")


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_published_schema_is_that_of_the_code(name):
    published = json.loads((DOCS / name).read_bytes())
    assert published == json.loads(published_schema(*SCHEMAS[name])), "run `nox -s schemas`"
