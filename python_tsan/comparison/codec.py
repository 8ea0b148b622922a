"""Own the JSON of a comparison and its published schema; leave files to those who write them."""

from __future__ import annotations

import msgspec

from python_tsan.comparison.model import Comparison
from python_tsan.json_schema import published_schema


def encode_comparison(comparison: Comparison) -> bytes:
    """Return ``comparison`` as JSON for people and programs: indented, one line feed at the end."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=1) + b"\n"


def comparison_schema() -> bytes:
    """Return the JSON schema of a comparison, as ``docs/comparison-schema.json`` holds it."""
    return published_schema(Comparison, "python-tsan comparison")
