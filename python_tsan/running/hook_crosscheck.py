"""Assign the Python stacks of the report hook to the findings that the parser has read. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.plain_text import counted
from python_tsan.result.finding import PythonStack
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from python_tsan.running.companion import HookReport
    from python_tsan.tsan.digest import Digest

# ReportTypeDescription of tsan_debugging.cpp against ReportTypeString of tsan_report.cpp.
KINDS = {
    "data-race": Kind.RACE,
    "data-race-vptr": Kind.VPTR_RACE,
    "heap-use-after-free": Kind.USE_AFTER_FREE,
    "heap-use-after-free-vptr": Kind.VPTR_USE_AFTER_FREE,
    "external-race": Kind.EXTERNAL_RACE,
    "thread-leak": Kind.THREAD_LEAK,
    "locked-mutex-destroy": Kind.MUTEX_DESTROY_LOCKED,
    "mutex-double-lock": Kind.MUTEX_DOUBLE_LOCK,
    "mutex-invalid-access": Kind.MUTEX_INVALID_ACCESS,
    "mutex-bad-unlock": Kind.MUTEX_BAD_UNLOCK,
    "mutex-bad-read-lock": Kind.MUTEX_BAD_READ_LOCK,
    "mutex-bad-read-unlock": Kind.MUTEX_BAD_READ_UNLOCK,
    "signal-unsafe-call": Kind.SIGNAL_UNSAFE,
    "errno-in-signal-handler": Kind.ERRNO_IN_SIGNAL,
    "lock-order-inversion": Kind.DEADLOCK,
    "mutex-held-in-wrong-context": Kind.MUTEX_HELD_WRONG_CONTEXT,
}


def in_order(digest: Digest) -> dict[str, list[str]]:
    """Return the fingerprints of each log's blocks in the order of printing, by the log's name."""
    blocks: dict[str, list[tuple[int, str]]] = {}
    for group in digest.groups.values():
        for name, line in group.sources():
            blocks.setdefault(name, []).append((line, group.fingerprint))
    return {name: [fingerprint for _, fingerprint in sorted(placed)] for name, placed in blocks.items()}


def match_reports(
    digest: Digest, reports: Iterable[tuple[str, Sequence[HookReport]]]
) -> tuple[dict[str, PythonStack], tuple[str, ...]]:
    """Return the Python stacks by fingerprint, and what does not fit in words.

    ``reports`` gives, for each log's name, what the hook reported in that process: one for each printed block, in
    the same order.
    """
    stacks: dict[str, PythonStack] = {}
    problems: list[str] = []
    printed = in_order(digest)
    for name, hooked in reports:
        fingerprints = printed.get(name, [])
        if len(fingerprints) != len(hooked):
            problems.append(
                f"{name}: {counted(len(fingerprints), 'finding')} read, {counted(len(hooked), 'hook call')}"
            )
            continue
        for fingerprint, report in zip(fingerprints, hooked, strict=True):
            kind = digest.groups[fingerprint].finding.kind
            if KINDS.get(report.kind) is not kind:
                problems.append(f"{name}: a {kind.value} was read where the report hook reports {report.kind}")
            elif report.python and fingerprint not in stacks:
                stacks[fingerprint] = _stack(report)
    return stacks, tuple(problems)


def _stack(report: HookReport) -> PythonStack:
    thread = next((each for each in report.threads if each.tid == report.tid), None)
    name = "" if thread is None else thread.name or ("main thread" if thread.id == 0 else f"T{thread.id}")
    return PythonStack(frames=report.python, thread=name)
