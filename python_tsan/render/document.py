"""Render a result as JSON: the document itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render import escape
from python_tsan.result.codec import encode_result

if TYPE_CHECKING:
    from python_tsan.render.registry import Context
    from python_tsan.result.model import Result


def render(result: Result, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document, indented."""
    return escape.json(encode_result(result)).decode()
