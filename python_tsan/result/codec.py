"""Write and read a result as JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from python_tsan.errors import SubjectError
from python_tsan.result.finding import DistinctFinding, Occurrence
from python_tsan.result.frame_table import FrameTable, fill
from python_tsan.result.model import RUN_FILE, SCHEMA, Result
from python_tsan.storage import too_large
from python_tsan.tsan.finding import Frame
from python_tsan.versioned_json import Format, encode, from_json, from_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NO_FINDINGS = b'\n "findings": []'
_LARGE_FINDING = 1 << 20
# Ten times as many as the longest block can have
_MOST_PARTS = 200_000
_OLD_REPORT = re.compile(rb'\s*\{\s*"version":')


def encode_result(result: Result) -> bytes:
    """Return ``result`` as JSON for people and programs: indented, each finding and each frame in one line."""
    return b"".join(parts_of_result(result))


def parts_of_result(result: Result) -> Iterator[bytes]:
    """Yield what :func:`encode_result` returns, finding by finding: the whole may be too large for the memory."""
    table = FrameTable()
    before, after = encode(replace(result, findings=())).split(_NO_FINDINGS, 1)
    yield before
    yield from _lines(b"findings", (table.take_from(msgspec.json.encode(each)) for each in result.findings))
    yield after.removesuffix(b"\n}\n") + b","
    yield from _lines(b"frames", table.rows)
    yield b"\n}\n"


def _lines(name: bytes, rows: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a list, each row in a line of its own."""
    start = end = b'\n "%s": [' % name
    for row in rows:
        yield start + b"\n  " + row
        start = b","
    yield b"\n ]" if start != end else start + b"]"


def _parse(data: bytes) -> Result:
    return _parse_rows(data) if too_large(data) else _parse_whole(data)


def _parse_rows(data: bytes) -> Result:
    """Read a large document as it was written, each finding and each frame in a row: the memory is that of the result.

    Raises :class:`msgspec.ValidationError` for one that was not.
    """
    found = _rows_of(data, b"findings", 0)
    frames = _rows_of(data, b"frames", found.stop)
    rest = data[: found.start] + data[found.stop : frames.start] + data[frames.stop :]
    if why := too_large(rest):
        raise msgspec.ValidationError(f"without its findings it is {why}")
    table = tuple(msgspec.json.decode(row, type=Frame) for row in _rows(data, frames))
    findings = tuple(_finding(row, table) for row in _rows(data, found))
    return replace(_parse_whole(rest), findings=findings)


def _rows_of(data: bytes, name: bytes, after: int) -> slice:
    """Return where the rows of a list are. No text of a document has a line feed, so a line is not part of one."""
    start = data.find(b'\n "%s": [\n' % name, after)
    end = data.find(b"\n ]", start)
    if start < 0 or end < 0:
        raise msgspec.ValidationError(f"it is {too_large(data)}, and its {name.decode()} are not in rows")
    return slice(data.index(b"[", start) + 1, end)


def _rows(data: bytes, where: slice) -> Iterator[bytes]:
    start = where.start
    while start < where.stop:
        end = data.find(b"\n", start + 1, where.stop)
        end = where.stop if end < 0 else end
        row = data[start:end].strip().removesuffix(b",")
        if why := too_large(row):
            raise msgspec.ValidationError(f"a row of it is {why}")
        yield row
        start = end


def _parse_whole(data: bytes) -> Result:
    parts = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    frames = msgspec.json.decode(parts.pop("frames", b"[]"), type=tuple[Frame, ...])
    found = msgspec.json.decode(parts.pop("findings", b"[]"), type=list[msgspec.Raw])
    rest = from_json(msgspec.json.encode(parts), Result)
    return replace(rest, findings=tuple(_finding(each, frames) for each in found))


def _finding(data: msgspec.Raw | bytes, frames: tuple[Frame, ...]) -> DistinctFinding:
    text, sources = bytes(data), {}
    if len(text) > _LARGE_FINDING:  # as plain data it would take much memory; most of it are its occurrences
        parts = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        sources = {"sources": msgspec.json.decode(parts.pop("sources", b"[]"), type=tuple[Occurrence, ...])}
        text = msgspec.json.encode(parts)
        if text.count(b"{") > _MOST_PARTS:
            raise msgspec.ValidationError(f"a finding has more than {_MOST_PARTS:,} parts")
    plain = msgspec.json.decode(text, type=dict[str, Any])
    fill(plain, frames)
    return from_plain({**plain, **sources}, DistinctFinding)


FORMAT = Format(
    kind=Result,
    what=RUN_FILE,
    schema=SCHEMA,
    page="run-json",
    advice="make the run again with this version",
    upgrades={2: lambda document: {**document, "schema": 3}},  # a stack of schema 2 has its frames in it
    parse=_parse,
)


def decode_result(data: bytes, *, name: str = RUN_FILE) -> Result:
    """Read what :func:`encode_result` wrote.

    Raises :class:`python_tsan.errors.SubjectError` when it is no result, or one of a schema that is not supported.
    """
    if _OLD_REPORT.match(data):
        raise SubjectError(
            f"{name} is a report of an older python-tsan, which is not supported",
            advice="make it again: `python-tsan report` on the logs, or `python-tsan run`",
            page="run-json",
        )
    return FORMAT.decode(data, name=name)


def load_result(path: Path) -> Result:
    """Read the result at ``path``, a file or the folder of a run. Raises as :func:`decode_result` does."""
    file = path / RUN_FILE if path.is_dir() else path
    return decode_result(FORMAT.read(file), name=str(file))
