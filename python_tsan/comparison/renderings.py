"""List the renderings of a comparison. ``verbose`` of the context is every row, not only those that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render.registry import JSON, TERMINAL, renderings

if TYPE_CHECKING:
    from python_tsan.comparison.model import Comparison
    from python_tsan.render.registry import Rendering

HTML, MARKDOWN = "html", "markdown"
RENDERINGS: dict[str, Rendering[Comparison]] = renderings(
    "python_tsan.comparison",
    (
        (TERMINAL, "comparison.txt", "text/plain", "terminal"),
        (JSON, "comparison.json", "application/json", "codec"),
        (MARKDOWN, "comparison.md", "text/markdown", "markdown"),
        (HTML, "comparison.html", "text/html", "html"),
    ),
)
