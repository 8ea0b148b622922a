"""Make the published JSON schema of a document from its dataclass, the same with every release of msgspec."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


def published_schema(kind: type[Any], title: str, change: Callable[[dict[str, Any]], None] | None = None) -> bytes:
    """Return the JSON schema of ``kind`` as it is published: indented, one line feed at the end.

    ``change`` adapts it to a document that is not written field by field as its class is.

    Descriptions are the docstrings with their indentation removed (:func:`inspect.cleandoc`), since msgspec copies a
    docstring as it is written before 0.23 and cleaned from 0.23 on. Defaults that are empty mappings are left out,
    since msgspec states them from 0.23 on only.
    """
    schema = {"$schema": SCHEMA_ID, "title": title, **msgspec.json.schema(kind, schema_hook=_path)}
    if change:
        change(schema)
    return msgspec.json.format(msgspec.json.encode(_cleaned(schema)), indent=2) + b"\n"


def _path(kind: type[Any]) -> dict[str, Any]:
    if issubclass(kind, Path):
        return {"type": "string"}
    raise NotImplementedError(f"{kind.__name__} has no JSON schema")


def _cleaned(node: Any) -> Any:  # noqa: ANN401 -- a JSON value
    if isinstance(node, dict):
        return {
            key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _cleaned(value)
            for key, value in node.items()
            if not (key == "default" and value == {})
        }
    return [_cleaned(item) for item in node] if isinstance(node, list) else node
