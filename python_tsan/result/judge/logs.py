"""Judge logs alone, without the exit code of the process that wrote them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.plain_text import counted
from python_tsan.result.judge.process import gave_up
from python_tsan.result.model import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.result.finding import FindingStatus
    from python_tsan.result.model import Input
    from python_tsan.tsan.digest import Digest
    from python_tsan.tsan.finding import Fatal

_SILENT = "no line is ThreadSanitizer's, so nothing shows that the program ran under it (explain could-not-judge)"


def judge_logs(
    statuses: Sequence[FindingStatus],
    fatal: Sequence[Fatal],
    inputs: Sequence[Input],
    *,
    silent_is_clean: bool = False,
    doubts: Sequence[str] = (),
    shortfalls: Sequence[str] = (),
) -> Verdict:
    """Judge logs by the ``statuses`` of their findings. Those without sanitizer output, or with a part, prove nothing.

    ``silent_is_clean``: the program is known to have run under the sanitizer. See :func:`doubts_about_logs` and
    :func:`shortfalls_of_logs` for the others.
    """
    failing = sum(each.fails for each in statuses)
    sanitized = bool(statuses) or any(each.spoke for each in inputs)
    if failing:
        status, reason = Status.FAILED, counted(failing, "finding")
    elif fatal:
        status, reason = Status.COULD_NOT_JUDGE, gave_up(fatal[0].message)
    elif doubts:
        status, reason = Status.COULD_NOT_JUDGE, doubts[0]
    elif sanitized or (silent_is_clean and inputs):
        status, reason = Status.PASSED, "no finding that fails" if statuses else "no finding"
    else:
        status, reason = Status.COULD_NOT_JUDGE, _SILENT if inputs else "there was no log to read"
    troubles = tuple(f"{each.file}: {each.problem}" for each in inputs if each.problem)
    return Verdict(status=status, reason=reason, downgrades=(*troubles, *(shortfalls if statuses else ())))


def doubts_about_logs(digest: Digest) -> tuple[str, ...]:
    """Return why logs cannot be called clean even if none of their findings fails; empty if they can."""
    missing = sum(each.missing for each in digest.shortfalls)
    if missing and not digest.blocks:
        return (f"the log says {counted(missing, 'warning')}, 0 blocks could be read",)
    if missing:
        return (_missing(missing, "the log"),)
    if digest.unread:
        return (digest.unread[0],)
    if digest.other_tools and not digest.blocks and not digest.notices:
        tools = " and ".join(digest.other_tools)
        return (f"this is {'an' if tools[0] in 'AEIOU' else 'a'} {tools} log, which is not supported",)
    return ()


def shortfalls_of_logs(digest: Digest) -> tuple[str, ...]:
    """Return a sentence for each log that speaks of more reports than could be read from it."""
    return tuple(f"{each.source}: {_missing(each.missing, 'this log')}" for each in digest.shortfalls)


def _missing(count: int, where: str) -> str:
    return f"{counted(count, 'report')} {'is' if count == 1 else 'are'} missing from {where}"
