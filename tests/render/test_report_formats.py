"""All renderings at once, over logs in any state."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import GOLDEN

from python_tsan.render.registry import RENDERINGS, Context
from python_tsan.result.build import Facts, build_result
from python_tsan.result.codec import decode_result
from python_tsan.result.model import Input
from python_tsan.tsan.digest import Digest

LOGS = sorted(GOLDEN.glob("*/*.log"))
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "run-schema.json").read_bytes())


def report_on_text(text):
    digest = Digest()
    digest.add(text.split("\n"), "a.log")
    return build_result(digest, Facts(inputs=(Input(file="a.log", spoke=True),)))


@st.composite
def damaged_logs(draw):
    """Draw golden logs in sequence, with lines cut, dropped, doubled and replaced."""
    lines = [
        line for path in draw(st.lists(st.sampled_from(LOGS), max_size=3)) for line in path.read_text().split("\n")
    ]
    for _ in range(draw(st.integers(0, 6))):
        if not lines:
            break
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(("cut", "drop", "double", "replace"))):
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "drop":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case _:
                lines[at] = draw(st.text(max_size=40))
    return "\n".join(lines[: draw(st.integers(0, len(lines)))])


@settings(deadline=None, max_examples=60)
@given(damaged_logs())
def test_for_every_log_every_rendering_is_well_formed(text):
    report = report_on_text(text)
    made = {name: each.render(report) for name, each in RENDERINGS.items()}
    assert decode_result(made["json"]) == report
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(made["json"]))
    ET.fromstring(made["junit"])  # noqa: S314 -- what we wrote ourselves
    assert len(json.loads(made["sarif"])["runs"][0]["results"]) == len(report.findings)
    HTMLParser().feed(made["html"].decode())
    for name, data in made.items():
        assert name == "github" or data.endswith(b"\n")


@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("name", RENDERINGS)
def test_every_golden_log_can_be_shown_in_every_format(path, name):
    report = report_on_text(path.read_text())
    data = RENDERINGS[name].render(report, Context(root="/src", verbose=True))
    for finding in report.findings:
        shown = finding.kind.value if name == "json" else finding.fingerprint
        assert shown.encode() in data


def test_each_format_has_a_file_name_of_its_own():
    names = [each.file_name for each in RENDERINGS.values()]
    assert len(set(names)) == len(names)
    assert RENDERINGS["json"].file_name == "run.json"
