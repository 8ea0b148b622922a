"""Write and read trace files: a header, then sections that can be read one by one, even if the file was cut short.

A file is :data:`MAGIC` and sections. A section is a four-letter tag, the length and CRC-32 of its payload, and the
payload. Tables precede the events that refer to them, so that everything that was written can be read.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from python_tsan.errors import UsageError
from python_tsan.gil.trace import Event, HeldWait, Node, Process, ProcessRecord, Trace, Untraced
from python_tsan.result.model import GilWait  # noqa: TC001 -- as below
from python_tsan.symbols import Site  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.versioned_json import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAGIC = b"python-tsan gil trace\n"
_SECTION = struct.Struct("<4sII")
# released, requested, acquired, site, node, thread, release_call, acquire_call
_EVENT = struct.Struct("<QQQIIIBBxx")
_INDEX = struct.Struct("<I")
BLOCK = 65536  # events in one section
MOST_TABLE_BYTES = 128 << 20  # of one process, decompressed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    schema: int
    engine: str
    command: tuple[str, ...]
    exit_code: int
    started_at: str
    processes: tuple[ProcessRecord, ...]
    untraced: tuple[Untraced, ...]


_HEAD = Format(kind=_Head, what="GIL trace", schema=2, page="gil", advice="trace the command again", error=UsageError)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    process: int
    sites: tuple[Site, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waits:
    process: int
    waits: tuple[GilWait, ...]
    held_waits: tuple[HeldWait, ...]


def encode(trace: Trace) -> Iterator[bytes]:
    """Yield the trace file in pieces."""
    yield MAGIC
    head = _Head(
        schema=_HEAD.schema,
        engine=trace.engine,
        command=trace.command,
        exit_code=trace.exit_code,
        started_at=trace.started_at,
        processes=tuple(process.record for process in trace.processes),
        untraced=trace.untraced,
    )
    yield _section(b"HEAD", _HEAD.encode(head))
    for index, process in enumerate(trace.processes):
        tables = _Tables(process=index, sites=process.sites, nodes=process.nodes)
        yield _section(b"TABL", zlib.compress(msgspec.json.encode(tables), 1))
        if process.waits:
            waits = _Waits(process=index, waits=process.waits, held_waits=process.held_waits)
            yield _section(b"WAIT", zlib.compress(msgspec.json.encode(waits), 1))
        for start in range(0, len(process.events), BLOCK):
            rows = b"".join(_EVENT.pack(*event) for event in process.events[start : start + BLOCK])
            yield _section(b"EVNT", _INDEX.pack(index) + zlib.compress(rows, 1))
    yield _section(b"DONE", b"")


def _section(tag: bytes, payload: bytes) -> bytes:
    return _SECTION.pack(tag, len(payload), zlib.crc32(payload)) + payload


def decode(data: bytes, *, source: Path | None = None) -> Trace:
    """Return the trace in ``data``; if the file was cut short, its complete part, with ``truncated`` set.

    ``source`` is named in errors. Raises :class:`UsageError` for data that is not a trace, is of another version, or
    ends before the header does.
    """
    if not data.startswith(MAGIC):
        if data.startswith(MAGIC.rstrip()):
            raise UsageError("the trace was written by another version of python-tsan", evidence=source, page="gil")
        raise UsageError("this is not a GIL trace", evidence=source, page="gil")
    sections = list(_sections(data))
    if not sections or sections[0][0] != b"HEAD":
        raise UsageError("the trace was cut short before its header", evidence=source, page="gil")
    head = _HEAD.decode(sections[0][1], name=str(source or "the trace"))
    try:
        processes = _read_processes(head, sections)
    except (msgspec.MsgspecError, zlib.error, struct.error, IndexError) as error:
        raise UsageError(f"the trace is damaged: {error}", evidence=source, page="gil") from error
    return Trace(
        engine=head.engine,
        command=head.command,
        exit_code=head.exit_code,
        started_at=head.started_at,
        processes=processes,
        untraced=head.untraced,
        truncated=sections[-1][0] != b"DONE",
    )


def _read_processes(head: _Head, sections: Iterable[tuple[bytes, bytes]]) -> tuple[Process, ...]:
    processes = [Process(record=record) for record in head.processes]
    events: list[list[Event]] = [[] for _ in processes]
    for tag, payload in sections:
        if tag == b"TABL":
            tables = msgspec.json.decode(_inflate(payload, MOST_TABLE_BYTES), type=_Tables)
            processes[tables.process] = replace(processes[tables.process], sites=tables.sites, nodes=tables.nodes)
        elif tag == b"WAIT":
            lost = msgspec.json.decode(_inflate(payload, MOST_TABLE_BYTES), type=_Waits)
            if any(not 0 <= each.wait < len(lost.waits) for each in lost.held_waits):
                raise IndexError("a wait is of a call that is not in the file")
            processes[lost.process] = replace(processes[lost.process], waits=lost.waits, held_waits=lost.held_waits)
        elif tag == b"EVNT":
            (index,) = _INDEX.unpack_from(payload)
            rows = map(Event._make, _EVENT.iter_unpack(_inflate(payload[_INDEX.size :], BLOCK * _EVENT.size)))
            events[index].extend(rows)
            if any(event.site >= len(processes[index].sites) for event in events[index]):
                raise IndexError("an event refers to a call site that is not in the file")
    return tuple(replace(one, events=tuple(rows)) for one, rows in zip(processes, events, strict=True))


def _inflate(payload: bytes, limit: int) -> bytes:
    """Decompress at most ``limit`` bytes. Raises ``zlib.error`` if there are more."""
    inflater = zlib.decompressobj()
    data = inflater.decompress(payload, limit)
    if inflater.unconsumed_tail or not inflater.eof:
        raise zlib.error(f"a section has more than {limit:,} bytes, or is incomplete")
    return data


def _sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(MAGIC)
    while at + _SECTION.size <= len(data):
        tag, length, checksum = _SECTION.unpack_from(data, at)
        payload = data[at + _SECTION.size : at + _SECTION.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield tag, payload
        at += _SECTION.size + length
