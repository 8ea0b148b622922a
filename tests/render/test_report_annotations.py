from __future__ import annotations

import re

import pytest
from report_samples import NASTY, renamed

from python_tsan.render.escape import block
from python_tsan.render.github import render
from python_tsan.render.registry import Context
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import Status, Verdict


def render_annotations(report, root=""):
    return render(report, Context(root=root))


COMMAND = re.compile(r"::(?P<name>error|warning|notice) (?P<properties>[^\n]*?)::(?P<text>[^\n]*)\n")


def commands(text):
    """Read workflow commands as the runner does."""
    found = []
    for match in COMMAND.finditer(text):
        pairs = (each.partition("=") for each in match["properties"].split(","))
        properties = {key: decoded(value) for key, _, value in pairs}
        found.append((match["name"], properties, decoded(match["text"])))
    assert "".join(match[0] for match in COMMAND.finditer(text)) == text
    return found


def decoded(text):
    for code, letter in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, letter)
    return text


def test_a_race_is_shown_next_to_its_line(report_of):
    report = report_of("race_global")
    ((name, properties, text),) = commands(render_annotations(report))
    assert name == "error"
    assert properties == {
        "file": "/src/golden/race_global.cpp",
        "line": "25",
        "col": "12",
        "title": f"data race [{report.findings[0].fingerprint}]",
    }
    assert text.startswith(
        "data race on (anonymous namespace)::g_total (global of 8 bytes); read of 8 bytes by thread T2"
    )


def test_files_of_the_checkout_are_relative(report_of):
    ((_, properties, _),) = commands(render_annotations(report_of("race_global"), root="/src"))
    assert properties["file"] == "golden/race_global.cpp"


@pytest.mark.parametrize("symbol", [NASTY, "100 %\r\nnext::error file=x::y", "a,b:c=d", "100%25 %0A %3A"])
def test_no_name_ends_a_command(report_of, symbol):
    ((_, properties, text),) = commands(render_annotations(renamed(report_of("race_global"), symbol, f"/s/{symbol}")))
    symbol = block(symbol)
    assert symbol in text
    assert properties["file"] == f"/s/{symbol}"


def test_known_findings_are_notices(report_of):
    key = report_of("race_global").findings[0].fingerprint
    report = report_of("race_global", standings={key: Standing(status=FindingStatus.KNOWN)})
    assert [name for name, _, _ in commands(render_annotations(report))] == ["notice"]


def test_doubts_are_errors_and_downgrades_warnings(report_of):
    verdict = Verdict(status=Status.COULD_NOT_JUDGE, reason="no", downgrades=("numpy is not instrumented",))
    told = commands(render_annotations(report_of("segv", verdict=verdict)))
    assert [name for name, _, _ in told] == ["error", "error", "warning"]
    assert "SEGV on unknown address" in told[0][2]
    assert told[1][2] == "could not judge: no"
