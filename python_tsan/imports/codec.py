"""Write and read a scan of imports as JSON, and publish its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from python_tsan.errors import SubjectError
from python_tsan.imports.document import FORMAT_NAME, FORMAT_VERSION, Document
from python_tsan.json_schema import published_schema
from python_tsan.render import escape

if TYPE_CHECKING:
    from python_tsan.render.registry import Context


class _Header(msgspec.Struct):
    format: str
    version: int


def render(document: Document, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document, with control characters as codes."""
    return escape.json(encode_document(document)).decode()


def encode_document(document: Document) -> bytes:
    """Return a scan as JSON for people and programs: indented, one line feed at the end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_document(data: bytes, *, name: str) -> Document:
    """Read what :func:`encode_document` wrote. Raises SubjectError when it is not that, or of another version."""
    advice = "Name a file that `python-tsan imports scan --format json` has written."
    try:
        header = msgspec.json.decode(data, type=_Header)
        if (header.format, header.version) != (FORMAT_NAME, FORMAT_VERSION):
            raise SubjectError(
                f"{name} is {header.format} of version {header.version}; this python-tsan reads {FORMAT_NAME} of "
                f"version {FORMAT_VERSION}",
                advice=advice,
            )
        return msgspec.json.decode(data, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SubjectError(f"{name} is no scan of imports: {error}", advice=advice) from error


def document_schema() -> bytes:
    """Return the JSON schema of a scan, as ``docs/imports-schema.json`` holds it."""
    return published_schema(Document, "python-tsan imports")
