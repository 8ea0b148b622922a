"""Render a result as JSON: the document itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render import escape
from python_tsan.report.codec import encode_report

if TYPE_CHECKING:
    from python_tsan.render.registry import Context
    from python_tsan.report.model import Report


def render(report: Report, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document, indented."""
    return escape.json(encode_report(report)).decode()
