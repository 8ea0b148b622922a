"""Write and read a scan of imports as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.imports.document import SCHEMA, Document
from python_tsan.render import escape
from python_tsan.versioned_json import Format, encode

if TYPE_CHECKING:
    from python_tsan.render.registry import Context

FORMAT = Format(
    kind=Document,
    what="scan of imports",
    schema=SCHEMA,
    advice="name the output of `scan --format json`",
)


def render(document: Document, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document, with control characters as codes."""
    return escape.json(encode(document)).decode()
