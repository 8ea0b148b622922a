"""Write a comparison as JSON, and publish its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.comparison.model import Comparison
from python_tsan.json_schema import published_schema
from python_tsan.render import escape
from python_tsan.versioned_json import encode

if TYPE_CHECKING:
    from python_tsan.render.registry import Context


def render(comparison: Comparison, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document, with control characters as codes."""
    return escape.json(encode_comparison(comparison)).decode()


def encode_comparison(comparison: Comparison) -> bytes:
    """Return ``comparison`` as JSON for people and programs: indented, one line feed at the end."""
    return encode(comparison)


def comparison_schema() -> bytes:
    """Return the JSON schema of a comparison, as ``docs/comparison-schema.json`` holds it."""
    return published_schema(Comparison, "python-tsan comparison")
