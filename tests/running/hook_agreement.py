"""What the report hook writes of a finding, whole, and in which points it differs from the printed block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from python_tsan.result.finding import PythonFrame  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.running.hook_crosscheck import KINDS
from python_tsan.tsan.finding import Kind, LocationKind, Operation, ThreadStatus

if TYPE_CHECKING:
    from pathlib import Path

LOCATIONS = {
    "global": LocationKind.GLOBAL,
    "heap": LocationKind.HEAP,
    "stack": LocationKind.STACK,
    "tls": LocationKind.TLS,
    "fd": LocationKind.FILE_DESCRIPTOR,
}


class HookAccess(msgspec.Struct, frozen=True, kw_only=True):
    """One access; ``address`` is hexadecimal."""

    thread: int
    address: str
    size: int
    write: bool
    atomic: bool


class HookLocation(msgspec.Struct, frozen=True, kw_only=True):
    """One location; ``start`` and ``size`` are those of a heap block, 0 otherwise."""

    type: str
    start: str
    size: int
    thread: int
    descriptor: int


class HookMutex(msgspec.Struct, frozen=True, kw_only=True):
    """One mutex of the report."""

    id: int
    address: str
    destroyed: bool


class WholeThread(msgspec.Struct, frozen=True, kw_only=True):
    """One thread of the report; ``id`` is the sanitizer's number, ``tid`` the system's."""

    id: int
    tid: int
    running: bool
    name: str
    parent: int


class WholeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``reports.*.jsonl``. ``attached`` says whether the thread held a Python thread state."""

    kind: str
    tid: int
    accesses: tuple[HookAccess, ...]
    locations: tuple[HookLocation, ...]
    mutexes: tuple[HookMutex, ...]
    threads: tuple[WholeThread, ...]
    python: tuple[PythonFrame, ...]
    attached: bool


def whole_reports(folder: Path) -> dict[int, list[WholeReport]]:
    """Return what the companions wrote of each finding, by process."""
    return {
        int(path.name.split(".")[1]): [
            msgspec.json.decode(line, type=WholeReport) for line in path.read_bytes().splitlines()
        ]
        for path in folder.glob("reports.*.jsonl")
    }


def disagreements(finding, hooked):
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


def _printed_accesses(finding):
    sized = finding.kind is not Kind.EXTERNAL_RACE  # printed without a size
    return [
        (each.address, each.size if sized else None, each.operation is Operation.WRITE, each.atomic, each.thread)
        for each in finding.accesses
    ]


def _hooked_accesses(hooked):
    sized = KINDS.get(hooked.kind) is not Kind.EXTERNAL_RACE
    return [
        (int(each.address, 16), each.size if sized else None, each.write, each.atomic, each.thread)
        for each in hooked.accesses
    ]


def _printed_locations(finding):
    return [
        (each.kind, each.address, each.size) if each.kind is LocationKind.HEAP else (each.kind,)
        for each in finding.locations
    ]


def _hooked_locations(hooked):
    found = []
    external = KINDS.get(hooked.kind) is Kind.EXTERNAL_RACE
    for each in hooked.locations:
        # The printer calls the heap block of an object with a tag by that object; the hook does not.
        kind = LocationKind.EXTERNAL if external and each.type == "heap" else LOCATIONS.get(each.type)
        found.append((kind, int(each.start, 16), each.size) if kind is LocationKind.HEAP else (kind,))
    return found


def _printed_threads(finding):
    return {
        each.id: (each.tid, each.status is ThreadStatus.RUNNING, each.name) for each in finding.threads if each.id != 0
    }


def _hooked_threads(hooked):
    # The main thread is in the report, and not printed.
    return {each.id: (each.tid, each.running, each.name) for each in hooked.threads if each.id != 0}
