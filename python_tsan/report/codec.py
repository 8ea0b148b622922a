"""Own the JSON of a report and its published schema; leave files to those who read and write them."""

from __future__ import annotations

from typing import Any

import msgspec

from python_tsan.errors import SubjectError
from python_tsan.json_schema import published_schema
from python_tsan.report.model import VERSION, Report

REPORT_FILE = "report.json"


class _Header(msgspec.Struct):
    version: int


def encode_report(report: Report) -> bytes:
    """Return ``report`` as JSON for people and programs: indented, one line feed at the end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def decode_report(data: bytes, *, name: str = REPORT_FILE) -> Report:
    """Read what :func:`encode_report` wrote.

    Raises :class:`SubjectError` when it is no report, or one of a version that this package does not read.
    """
    version = _decode(data, _Header, name).version
    if version != VERSION:
        raise SubjectError(
            f"{name} is a report of version {version}; this python-tsan reads {VERSION}",
            advice="update python-tsan" if version > VERSION else "make the report again from the logs",
            page="report-json",
        )
    report: Report = _decode(data, Report, name)
    return report


def report_schema() -> bytes:
    """Return the JSON schema of a report, as ``docs/report-schema.json`` holds it."""
    return published_schema(Report, "python-tsan report")


def _decode(data: bytes, kind: type[Any], name: str) -> Any:  # noqa: ANN401 -- whatever ``kind`` says
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SubjectError(
            f"{name} is not a report of python-tsan: {error}",
            advice="name the folder of a finished run, or the logs themselves",
            page="report-json",
        ) from error
