"""Write a comparison as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render import escape
from python_tsan.versioned_json import encode

if TYPE_CHECKING:
    from python_tsan.comparison.model import Comparison
    from python_tsan.render.registry import Context


def render(comparison: Comparison, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document, with control characters as codes."""
    return escape.json(encode(comparison)).decode()
