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
    parts = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    frames = msgspec.json.decode(parts.pop("frames", b"[]"), type=tuple[Frame, ...])
    found = msgspec.json.decode(parts.pop("findings", b"[]"), type=list[msgspec.Raw])
    rest = from_json(msgspec.json.encode(parts), Result)
    return replace(rest, findings=tuple(_finding(each, frames) for each in found))


def _finding(data: msgspec.Raw, frames: tuple[Frame, ...]) -> DistinctFinding:
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


def _from_schema_2(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document in which each stack has its frames as one that may have their numbers."""
    return {**document, "schema": 3}


FORMAT = Format(
    kind=Result,
    what=RUN_FILE,
    schema=SCHEMA,
    page="run-json",
    advice="make the run again with this version",
    upgrades={2: _from_schema_2},
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
