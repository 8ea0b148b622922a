"""Compare what the report hook reports with what the parser has read. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.plain_text import counted
from python_tsan.result.finding import PythonFrame, PythonStack
from python_tsan.tsan.finding import Kind, LocationKind, Operation, ThreadStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.running.companion import HookReport
    from python_tsan.tsan.digest import Digest
    from python_tsan.tsan.finding import Finding

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
_LOCATIONS = {
    "global": LocationKind.GLOBAL,
    "heap": LocationKind.HEAP,
    "stack": LocationKind.STACK,
    "tls": LocationKind.TLS,
    "fd": LocationKind.FILE_DESCRIPTOR,
}


def disagreements(finding: Finding, hooked: HookReport) -> Iterator[str]:
    """Yield each point in which the printed block and the hook differ; nothing when they agree."""
    pairs = (
        ("kind", finding.kind, KINDS.get(hooked.kind)),
        ("accesses", _printed_accesses(finding), _hooked_accesses(hooked)),
        ("location", _printed_locations(finding), _hooked_locations(hooked)),
        ("mutexes", {mutex.id for mutex in finding.mutexes}, {mutex.id for mutex in hooked.mutexes}),
        ("threads", _printed_threads(finding), _hooked_threads(hooked)),
    )
    for name, printed, other in pairs:
        if printed != other:
            yield f"{name}: the parser read {printed}, the hook reports {other}"


def _printed_accesses(finding: Finding) -> list[tuple[object, ...]]:
    if finding.kind is Kind.EXTERNAL_RACE:  # printed without a size
        return [
            (each.address, None, each.operation is Operation.WRITE, each.atomic, each.thread)
            for each in finding.accesses
        ]
    return [
        (each.address, each.size, each.operation is Operation.WRITE, each.atomic, each.thread)
        for each in finding.accesses
    ]


def _hooked_accesses(hooked: HookReport) -> list[tuple[object, ...]]:
    sized = KINDS.get(hooked.kind) is not Kind.EXTERNAL_RACE
    return [
        (int(each.address, 16), each.size if sized else None, each.write, each.atomic, each.thread)
        for each in hooked.accesses
    ]


def _printed_locations(finding: Finding) -> list[tuple[object, ...]]:
    return [
        (each.kind, each.address, each.size) if each.kind is LocationKind.HEAP else (each.kind,)
        for each in finding.locations
    ]


def _hooked_locations(hooked: HookReport) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    external = KINDS.get(hooked.kind) is Kind.EXTERNAL_RACE
    for each in hooked.locations:
        # The printer calls the heap block of an object with a tag by that object; the hook does not.
        kind = LocationKind.EXTERNAL if external and each.type == "heap" else _LOCATIONS.get(each.type)
        found.append((kind, int(each.start, 16), each.size) if kind is LocationKind.HEAP else (kind,))
    return found


def _printed_threads(finding: Finding) -> dict[int, tuple[object, ...]]:
    return {
        each.id: (each.tid, each.status is ThreadStatus.RUNNING, each.name) for each in finding.threads if each.id != 0
    }


def _hooked_threads(hooked: HookReport) -> dict[int, tuple[object, ...]]:
    # The main thread is in the report, and not printed.
    return {each.id: (each.tid, each.running, each.name) for each in hooked.threads if each.id != 0}


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
    frames = tuple(PythonFrame(function=each.function, file=each.file, line=each.line) for each in report.python)
    thread = next((each for each in report.threads if each.tid == report.tid), None)
    name = "" if thread is None else thread.name or ("main thread" if thread.id == 0 else f"T{thread.id}")
    return PythonStack(frames=frames, thread=name)
