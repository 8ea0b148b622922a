"""List the renderings of a scan of imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render.registry import JSON, TERMINAL, renderings

if TYPE_CHECKING:
    from python_tsan.imports.document import Document
    from python_tsan.render.registry import Rendering

RENDERINGS: dict[str, Rendering[Document]] = renderings(
    "python_tsan.imports",
    (
        (TERMINAL, "imports.txt", "terminal"),
        (JSON, "imports.json", "document"),
        ("markdown", "imports.md", "markdown"),
        ("html", "imports.html", "html"),
    ),
)
