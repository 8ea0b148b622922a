"""Render a result as the workflow commands by which GitHub shows findings next to the code.

The syntax is that of docs.github.com/en/actions/reference/workflow-commands-for-github-actions.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from python_tsan.render import escape, wording
from python_tsan.result.finding import FindingStatus
from python_tsan.result.judge.program import set_aside_words
from python_tsan.result.model import VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.render.registry import Context
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result


def render(result: Result, context: Context) -> str:
    """Return a command for each finding and each time the runtime gave up, and for what else keeps a result from clean.

    Findings that are set aside for one cause share a command. Files below the context's root are relative.
    """
    return "".join(f"{line}\n" for line in _commands(result, context.root))


def _commands(result: Result, root: str) -> Iterator[str]:
    for finding in result.findings:
        if finding.status is FindingStatus.SET_ASIDE:
            continue  # counted below: probably no race, and GitHub shows ten annotations in all
        yield _command("error" if finding.status.fails else "notice", _where(finding, root), wording.message(finding))
    for words in set_aside_words(each.blind_spot for each in result.findings if each.blind_spot):
        yield _command("notice", {"title": "python-tsan"}, words)
    for fatal in result.fatal:
        yield _command("error", {"title": "ThreadSanitizer gave up"}, fatal.message)
    if result.verdict.status is not VerdictStatus.CLEAN and not result.failing:
        yield _command("error", {"title": "python-tsan"}, wording.conclusion(result))
    for downgrade in result.verdict.downgrades:
        yield _command("warning", {"title": "python-tsan"}, downgrade)


def _where(finding: DistinctFinding, root: str) -> dict[str, str]:
    title = {"title": f"{finding.title} [{finding.fingerprint}]"}
    frame = wording.main_frame(finding)
    if frame is None or not frame.file:
        return title
    path = PurePosixPath(frame.file)
    file = path.relative_to(root) if root and path.is_relative_to(root) else path
    numbers = {name: str(number) for name, number in (("line", frame.line), ("col", frame.column)) if number}
    return {"file": str(file), **numbers, **title}


def _command(name: str, properties: dict[str, str], text: str) -> str:
    given = ",".join(f"{key}={escape.command_property(value)}" for key, value in properties.items())
    return f"::{name} {given}::{escape.command_text(text)}"
