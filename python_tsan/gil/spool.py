"""Read what ``native/preload/tracer`` recorded of one process; pure. The layout is that of ``format.hpp``.

The process may have ended at any moment, so that every count is checked against the size of its region.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from python_tsan import mapped_rows
from python_tsan.gil.trace import Event, Node, ProcessRecord, Thread

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"PTGILRAW"
VERSION = 1
_HEADER = struct.Struct("<8sIIQQQIIII" + "QQQ" * 5 + "QQQQ")
_CODE = struct.Struct("<IIII")
_NODE = struct.Struct("<IIiiI")
_OBJECT = struct.Struct("<QQQII")
_CHUNK = struct.Struct("<IIQII16s")
_EVENT = struct.Struct("<QQQQIBBH")
_CHUNK_HEAD = 64
_CHUNK_BYTES = 32768
_CAPACITY = (_CHUNK_BYTES - _CHUNK_HEAD) // _EVENT.size
_FREE_THREADED, _SEES_INTERNAL = 1, 2


class SpoolObject(NamedTuple):
    """A loaded program or library: its load base, and the bounds of its executable segment."""

    base: int
    first: int
    last: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """The record of one process. ``Event.site`` is still a return address."""

    record: ProcessRecord
    objects: tuple[SpoolObject, ...]
    nodes: tuple[Node, ...]
    events: tuple[Event, ...]


def read_spool(data: bytes | memoryview) -> Spool | None:
    """Return what a process recorded; None if it ended before it recorded anything."""
    view = memoryview(data)
    fields = mapped_rows.header(_HEADER, view, magic=MAGIC, version=VERSION)
    if fields is None:
        return None
    regions = [fields[start : start + 3] for start in range(10, 25, 3)]
    strings, codes, nodes, objects = (mapped_rows.region(view, *region) for region in regions[:4])
    chunks = view[regions[4][0] : regions[4][0] + regions[4][1]]
    threads: dict[int, Thread] = {}
    events = tuple(_events(chunks, threads))
    flags, pid = fields[2], fields[6]
    record = ProcessRecord(
        pid=pid,
        parent=fields[7],
        executable=mapped_rows.c_string(view[_HEADER.size : _HEADER.size + 4096]),
        python=python_version(fields[8]),
        free_threaded=bool(flags & _FREE_THREADED),
        sees_internal=bool(flags & _SEES_INTERNAL),
        started=fields[4],
        started_unix=fields[5],
        dropped=fields[26],
        lost=fields[27],
        lost_stacks=fields[28],
        threads=tuple(threads[ordinal] for ordinal in sorted(threads)),
    )
    text = _Strings(strings)
    return Spool(
        record=record,
        objects=tuple(
            SpoolObject(base, first, last, text[path])
            for base, first, last, path, _ in mapped_rows.rows(_OBJECT, objects)
        ),
        nodes=tuple(_nodes(nodes, codes, text)),
        events=events,
    )


def is_cut(data: bytes | memoryview) -> bool:
    """Report whether a file is shorter than its header says: it has its whole size from the beginning."""
    fields = mapped_rows.header(_HEADER, memoryview(data), magic=MAGIC, version=VERSION)
    return fields is not None and fields[3] > len(data)


class _Strings:
    """The strings' region, by offset."""

    def __init__(self, region: memoryview) -> None:
        self._bytes = bytes(region)
        self._known = {0: ""}

    def __getitem__(self, offset: int) -> str:
        if offset not in self._known:
            end = self._bytes.find(b"\0", offset)
            self._known[offset] = self._bytes[offset : max(end, offset)].decode(errors="replace")
        return self._known[offset]


def _nodes(nodes: memoryview, codes: memoryview, text: _Strings) -> Iterator[Node]:
    functions = [(0, 0, 0, 0), *mapped_rows.rows(_CODE, codes)]
    yield Node(0, "", "", 0, "", "")
    for parent, code, _, line, imports in mapped_rows.rows(_NODE, nodes):
        file, function, body, _ = functions[code] if code < len(functions) else functions[0]
        yield Node(parent, text[file], text[function], line, text[body], text[imports])


def _events(chunks: memoryview, threads: dict[int, Thread]) -> Iterator[Event]:
    """Return every event in order of time, and add the threads to ``threads``."""
    found = []
    for start in range(0, len(chunks) - _CHUNK_BYTES + 1, _CHUNK_BYTES):
        _, count, _, tid, ordinal, name = _CHUNK.unpack_from(chunks, start)
        if count and ordinal not in threads:
            threads[ordinal] = Thread(ordinal=ordinal, tid=tid, name=mapped_rows.c_string(memoryview(name)))
        first = start + _CHUNK_HEAD
        rows = chunks[first : first + min(count, _CAPACITY) * _EVENT.size]
        found += [
            Event(released, requested, acquired, site, node, ordinal, call, acquire_call)
            for released, requested, acquired, site, node, call, acquire_call, _ in _EVENT.iter_unpack(rows)
            if released or acquired
        ]
    return iter(sorted(found, key=lambda event: event.released or event.acquired))


def python_version(number: int) -> str:
    """Return ``3.13.5`` for CPython's ``Py_Version``, which has two hexadecimal digits for each part; empty for 0."""
    return f"{number >> 24}.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}" if number else ""
