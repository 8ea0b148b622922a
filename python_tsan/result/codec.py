"""Write and read a result as JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan.errors import SubjectError
from python_tsan.result.model import RUN_FILE, SCHEMA, Result
from python_tsan.versioned_json import Format, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_FINDINGS = b'\n "findings": []'
_OLD_REPORT = re.compile(rb'\s*\{\s*"version":')
FORMAT = Format(
    kind=Result, what=RUN_FILE, schema=SCHEMA, page="run-json", advice="make the run again with this version"
)


def encode_result(result: Result) -> bytes:
    """Return ``result`` as JSON for people and programs: indented, one line feed at the end."""
    return b"".join(parts_of_result(result))


def parts_of_result(result: Result) -> Iterator[bytes]:
    """Yield what :func:`encode_result` returns, finding by finding: the whole may be too large for the memory."""
    if not result.findings:
        yield encode(result)
        return
    before, after = encode(replace(result, findings=())).split(_NO_FINDINGS, 1)
    yield before + _NO_FINDINGS[:-1]
    for number, finding in enumerate(result.findings):
        yield (b",\n  " if number else b"\n  ") + encode(finding)[:-1].replace(b"\n", b"\n  ")
    yield b"\n ]" + after


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
