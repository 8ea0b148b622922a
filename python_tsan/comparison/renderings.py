"""List the renderings of a comparison, of which its JSON is here.

``verbose`` of the context is every row, not only those that differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render import escape
from python_tsan.render.registry import JSON, TERMINAL, renderings
from python_tsan.versioned_json import encode

if TYPE_CHECKING:
    from python_tsan.comparison.model import Comparison
    from python_tsan.render.registry import Context, Rendering

HTML, MARKDOWN = "html", "markdown"
RENDERINGS: dict[str, Rendering[Comparison]] = renderings(
    "python_tsan.comparison",
    (
        (TERMINAL, "comparison.txt", "terminal"),
        (JSON, "comparison.json", "renderings"),
        (MARKDOWN, "comparison.md", "markdown"),
        (HTML, "comparison.html", "html"),
    ),
)


def render(comparison: Comparison, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document, with control characters as codes."""
    return escape.json(encode(comparison)).decode()
