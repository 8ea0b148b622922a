"""Render a result as JSON: the document itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render import escape
from python_tsan.result.codec import parts_of_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.render.registry import Context
    from python_tsan.result.model import Result


def parts(result: Result, context: Context) -> Iterator[bytes]:  # noqa: ARG001 -- the shape of a Renderer
    """Yield the document, indented, finding by finding."""
    return map(escape.json, parts_of_result(result))


def render(result: Result, context: Context) -> str:
    """Return the document, indented."""
    return b"".join(parts(result, context)).decode()
