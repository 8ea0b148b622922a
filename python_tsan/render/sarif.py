"""Render a result as SARIF 2.1.0: results that code scanning shows, tracks and closes.

Its parts follow OASIS' standard and what GitHub's code scanning reads of it
(docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from python_tsan.plain_text import counted
from python_tsan.render import escape, wording
from python_tsan.render.advice import advice, program_of
from python_tsan.render.explain import kind_text
from python_tsan.render.stack import Gap, first_frame, frame_name, trim
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import VerdictStatus
from python_tsan.tsan.finding import Kind
from python_tsan.tsan.fingerprint import VERSION as FINGERPRINT_VERSION

if TYPE_CHECKING:
    from python_tsan.render.registry import Context
    from python_tsan.render.wording import Panel
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result
    from python_tsan.tsan.finding import Frame

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HOME = "https://clang.llvm.org/docs/ThreadSanitizer.html"
FINGERPRINT = f"pythonTsan/v{FINGERPRINT_VERSION}"
_ROOT = "SRCROOT"
# https://cwe.mitre.org: 833 is "Deadlock", 362 the race condition.
_CWE = {Kind.DEADLOCK: 833, Kind.POSSIBLE_DEADLOCK: 833}
# Code scanning shows no more of one run, and refuses a run with five times as many.
MAX_RESULTS = 5000

Json = dict[str, Any]


def render(result: Result, context: Context) -> str:
    """Return the result as SARIF. Files below the context's root are relative to it."""
    root, program = context.root, program_of(result)
    first_of: dict[Kind, DistinctFinding] = {}
    for finding in result.findings:
        first_of.setdefault(finding.kind, finding)
    kinds = {kind: number for number, kind in enumerate(first_of)}
    places = Places(root)
    run: Json = {
        "tool": {
            "driver": {
                "name": "python-tsan",
                "semanticVersion": result.package,
                "informationUri": HOME,
                "rules": [_rule(kind, advice(first, program)) for kind, first in first_of.items()],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(result, places)],
        "results": [
            _result(finding, kinds[finding.kind], places) | _state(finding, result)
            for finding in result.findings[:MAX_RESULTS]
        ],
        "properties": {"verdict": result.verdict.status.value, "downgrades": list(result.verdict.downgrades)},
    }
    if root:
        run["originalUriBaseIds"] = {_ROOT: {"uri": PurePosixPath(root).as_uri().rstrip("/") + "/"}}
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return escape.json(json.dumps(_shown(document), indent=1, ensure_ascii=False).encode()).decode() + "\n"


def _shown(part: object) -> object:
    """Return a part of the document with every text in it fit to be shown."""
    if isinstance(part, dict):
        return {name: _shown(each) for name, each in part.items()}
    if isinstance(part, list):
        return [_shown(each) for each in part]
    return escape.block(part) if isinstance(part, str) else part


class Places:
    """Turns frames into SARIF locations, relative to one folder where they are in it."""

    def __init__(self, root: str) -> None:
        self._root = PurePosixPath(root) if root else None

    def artifact(self, file: str) -> Json:
        """Return an ``artifactLocation``."""
        if PureWindowsPath(file).is_absolute():
            return {"uri": PureWindowsPath(file).as_uri()}
        path = PurePosixPath(file)
        if self._root and path.is_relative_to(self._root):
            path = path.relative_to(self._root)
        if path.is_absolute():
            return {"uri": path.as_uri()}
        # A relative URI is quoted as the path of an absolute one.
        quoted = PurePosixPath("/", path).as_uri().removeprefix("file:///")
        return {"uri": quoted, "uriBaseId": _ROOT} if self._root else {"uri": quoted}

    def frame(self, frame: Frame, message: str = "") -> Json:
        """Return a ``location``: where the frame is in the source, if that is known, and its function."""
        location: Json = {"message": {"text": message}} if message else {}
        if frame.file:
            location["physicalLocation"] = self.physical(frame.file, frame.line, frame.column)
        location["logicalLocations"] = [{"fullyQualifiedName": frame_name(frame), "kind": "function"}]
        return location

    def physical(self, file: str, line: int, column: int = 0) -> Json:
        """Return a ``physicalLocation``; lines and columns count from 1 and are left out where unknown."""
        physical: Json = {"artifactLocation": self.artifact(file)}
        if line:
            physical["region"] = {"startLine": line, **({"startColumn": column} if column else {})}
        return physical


def _rule(kind: Kind, fix: str) -> Json:
    text = kind_text(kind)
    return {
        "id": text.slug,
        "name": "".join(part.capitalize() for part in text.slug.split("-")),
        "shortDescription": {"text": kind.value},
        "fullDescription": {"text": text.short},
        "help": {
            "text": f"{text.what}\n\n{text.read}\n\n{fix}",
            "markdown": f"{text.what}\n\n**How to read it.** {text.read}\n\n**How to fix it.** {fix}",
        },
        "helpUri": HOME,
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": ["concurrency", "thread-safety", f"external/cwe/cwe-{_CWE.get(kind, 362)}"],
            "precision": "very-high",
        },
    }


def _result(finding: DistinctFinding, rule: int, places: Places) -> Json:
    panels = list(wording.panels(finding))
    primary = [panel for panel in panels if panel.primary] or panels
    result: Json = {
        "ruleId": kind_text(finding.kind).slug,
        "ruleIndex": rule,
        "level": "error" if finding.status.fails else "note",
        "message": {"text": wording.message(finding)},
        "locations": [_main_location(finding, places)],
        "relatedLocations": _related(panels, places),
        "codeFlows": [{"threadFlows": flows}] if (flows := _flows(primary, places)) else [],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "occurrenceCount": finding.occurrences,
        "properties": {"attribution": finding.attribution.value, "status": finding.status.value},
    }
    if not finding.status.fails:
        kept = finding.reason or finding.status.value
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": kept}]
    return result


def _state(finding: DistinctFinding, result: Result) -> Json:
    """Return the state against the baseline, where there is one."""
    if result.baseline is None:
        return {}
    return {"baselineState": "new" if finding.status is FindingStatus.NEW else "unchanged"}


def _main_location(finding: DistinctFinding, places: Places) -> Json:
    """Return where a reader should look first. Code scanning needs a file: without one it is the log."""
    frame = wording.main_frame(finding)
    if frame and frame.file:
        return places.frame(frame)
    source = finding.sources[0]
    location: Json = {"physicalLocation": places.physical(source.file, source.line)}
    if frame:
        location["logicalLocations"] = [{"fullyQualifiedName": frame_name(frame), "kind": "function"}]
    return location


def _related(panels: list[Panel], places: Places) -> list[Json]:
    shown = [(panel, frame) for panel in panels if (frame := first_frame(panel.stack)) and frame.file]
    return [{"id": number, **places.frame(frame, panel.caption)} for number, (panel, frame) in enumerate(shown, 1)]


def _flows(panels: list[Panel], places: Places) -> list[Json]:
    """Return a thread flow for each primary stack, outermost frame first, as the program came to be there."""
    flows = []
    for number, panel in enumerate(panels, 1):
        # Code scanning follows source files, so a frame without one is of no use to it.
        kept = [frame for frame in trim(panel.stack) if not isinstance(frame, Gap) and frame.file]
        if not kept:
            continue
        locations = [
            {"location": places.frame(frame, panel.caption if frame is kept[0] else ""), "nestingLevel": depth}
            for depth, frame in enumerate(reversed(kept))
        ]
        locations[-1]["importance"] = "essential"
        flows.append({"id": str(number), "message": {"text": panel.caption}, "locations": locations})
    return flows


def _invocation(result: Result, places: Places) -> Json:
    notes: list[Json] = [
        {
            "level": "error",
            "message": {"text": fatal.message},
            "locations": [{"physicalLocation": places.physical(fatal.source.file, fatal.source.first_line)}],
        }
        for fatal in result.fatal
    ]
    if result.verdict.status is not VerdictStatus.CLEAN and not result.failing:
        notes.append({"level": "error", "message": {"text": wording.conclusion(result)}})
    notes += [{"level": "warning", "message": {"text": text}} for text in result.verdict.downgrades]
    if len(result.findings) > MAX_RESULTS:
        text = f"{counted(len(result.findings) - MAX_RESULTS, 'more finding')}: the JSON has every one"
        notes.append({"level": "warning", "message": {"text": text}})
    if result.unparsed.count:
        text = f"{counted(result.unparsed.count, 'line')} not understood"
        notes.append({"level": "warning", "message": {"text": text}})
    invocation: Json = {
        "executionSuccessful": result.verdict.status is not VerdictStatus.COULD_NOT_JUDGE,
        "toolExecutionNotifications": notes,
    }
    if result.subject:
        invocation["arguments"] = list(result.subject.command)
        if result.subject.exit_codes:
            invocation["exitCode"] = result.subject.exit_codes[-1]
    return invocation
