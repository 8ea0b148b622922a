"""Render a result as JUnit XML: one test case for each check and each distinct finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never
from xml.etree import ElementTree as ET

from python_tsan.plain_text import counted
from python_tsan.render import wording
from python_tsan.render.advice import Program, advice, program_of
from python_tsan.render.circumstances import circumstances
from python_tsan.render.escape import xml
from python_tsan.render.explain import kind_text
from python_tsan.render.names import directed_words
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import Status, VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.render.registry import Context
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result, Verdict

_SUITE = "python-tsan"


def render(result: Result, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the result as JUnit XML: failing findings fail, known ones are skipped, doubts are errors."""
    cases = list(_cases(result))
    counts = {name: str(sum(case.find(tag) is not None for case in cases)) for name, tag in _COUNTED.items()}
    suites = ET.Element("testsuites", {"name": _SUITE, "tests": str(len(cases)), **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": _SUITE, "tests": str(len(cases)), **counts})
    if result.subject:
        suite.set("time", f"{result.subject.seconds:.3f}")
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(result):
        ET.SubElement(properties, "property", {"name": name, "value": xml(value)})
    suite.extend(cases)
    ET.indent(suites, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _cases(result: Result) -> Iterator[ET.Element]:
    program = program_of(result)
    checks = [_check(verdict) for verdict in result.verdicts if verdict.check]
    yield from checks
    for finding in result.findings:
        yield _case(finding, program)
    for fatal in result.fatal:
        case = ET.Element("testcase", {"classname": f"{_SUITE}.fatal", "name": xml(fatal.message)})
        _outcome(case, "error", fatal.kind.value, fatal.message, fatal.raw)
        yield case
    match result.verdict.status:
        case VerdictStatus.COULD_NOT_JUDGE:
            case = ET.Element("testcase", {"classname": _SUITE, "name": "verdict"})
            _outcome(case, "error", "could not judge", result.verdict.reason, "\n".join(result.verdict.downgrades))
            yield case
        case VerdictStatus.CLEAN:
            yield ET.Element("testcase", {"classname": _SUITE, "name": "verdict"})
        case VerdictStatus.FINDINGS:
            # A program that crashed, or that did not show what was expected, fails without a finding.
            if not result.failing and not any(case.find("failure") is not None for case in checks):
                case = ET.Element("testcase", {"classname": _SUITE, "name": "verdict"})
                _outcome(case, "failure", "verdict", result.verdict.reason, "\n".join(result.verdict.downgrades))
                yield case
        case _:
            assert_never(result.verdict.status)


def _check(verdict: Verdict) -> ET.Element:
    lane = f".{verdict.lane.value}" if verdict.lane else ""
    names = {"classname": f"python-tsan{lane}", "name": xml(verdict.check), "time": f"{verdict.seconds:.3f}"}
    case = ET.Element("testcase", names)
    match verdict.status:
        case Status.PASSED:
            pass
        case Status.FAILED:
            _outcome(case, "failure", verdict.expectation.outcome.value, verdict.reason, "\n".join(_evidence(verdict)))
        case Status.COULD_NOT_JUDGE:
            _outcome(case, "error", verdict.status.value, verdict.reason, "\n".join(_evidence(verdict)))
        case Status.SKIPPED:
            _outcome(case, "skipped", "", verdict.reason, "")
        case _:
            assert_never(verdict.status)
    return case


def _evidence(verdict: Verdict) -> Iterator[str]:
    yield f"{verdict.met} of {counted(verdict.runs, 'run')} as expected"
    for observation in verdict.observations:
        yield f"run {observation.number}: {observation.folder}"


def _case(finding: DistinctFinding, program: frozenset[Program]) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": f"{_SUITE}.{kind_text(finding.kind).slug}",
            "name": xml(f"{wording.headline(finding)} [{finding.fingerprint}]"),
        },
    )
    frame = wording.main_frame(finding)
    if frame and frame.file:
        case.set("file", xml(frame.file))
        case.set("line", str(frame.line))
    if finding.status.fails:
        _outcome(case, "failure", finding.kind.value, finding.summary or finding.title, _details(finding, program))
    elif finding.status is not FindingStatus.EXPECTED:
        _outcome(case, "skipped", "", ": ".join(filter(None, (finding.status.value, finding.reason))), "")
    return case


def _outcome(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, {"message": xml(message)})
    if kind:
        element.set("type", kind)
    element.text = xml(text) or None


def _details(finding: DistinctFinding, program: frozenset[Program]) -> str:
    first, times = finding.sources[0], counted(finding.occurrences, "time")
    where = f"{finding.attribution.value}, {times}, first in {first.file}:{first.line}"
    directed = f"\n{directed_words(finding.directed)}" if finding.directed else ""
    return f"{where}{directed}\n{advice(finding, program)}\n\n{finding.raw}"


def _properties(result: Result) -> Iterator[tuple[str, str]]:
    yield "verdict", wording.conclusion(result)
    yield "python-tsan", result.package
    yield from circumstances(result)
    for downgrade in result.verdict.downgrades:
        yield "downgrade", downgrade
