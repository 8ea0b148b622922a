"""Write the published JSON schemas to ``docs/`` from the classes that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan.comparison.model import Comparison
from python_tsan.imports.document import Document
from python_tsan.result.model import Result
from tools.json_schema import published_schema

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[1] / "docs"
_FRAME = {"$ref": "#/$defs/Frame"}
_NUMBER = {"$ref": "#/$defs/FrameNumber"}


def number_frames(schema: dict[str, Any]) -> None:
    """Let each frame be a number in the table ``frames``, as :mod:`python_tsan.result.frame_table` writes it."""
    _number(schema["$defs"])
    schema["$defs"]["FrameNumber"] = {
        "title": "FrameNumber",
        "description": "The position of a frame in the table ``frames`` of the document, from 0.",
        "type": "integer",
        "minimum": 0,
    }
    schema["$defs"]["Result"]["properties"]["frames"] = {"type": "array", "items": _FRAME, "default": []}


def _number(node: Any) -> None:  # noqa: ANN401 -- a JSON value
    if isinstance(node, list):
        if _FRAME in node:
            node.append(_NUMBER)
        for each in node:
            _number(each)
    elif isinstance(node, dict):
        if node.get("items") == _FRAME:
            node["items"] = {"anyOf": [_FRAME, _NUMBER]}
        for name, each in node.items():
            if name != "items":
                _number(each)


SCHEMAS: dict[str, tuple[type[Any], str, Callable[[dict[str, Any]], None] | None]] = {
    "comparison-schema.json": (Comparison, "python-tsan comparison", None),
    "imports-schema.json": (Document, "python-tsan imports", None),
    "run-schema.json": (Result, "python-tsan run.json", number_frames),
}


def main() -> None:
    """Write each schema whose content differs and name it."""
    for name, described in SCHEMAS.items():
        file = DOCS / name
        text = published_schema(*described)
        if not file.is_file() or file.read_bytes() != text:
            file.write_bytes(text)
            print(f"written: docs/{name}")  # noqa: T201 -- the command's output


if __name__ == "__main__":
    main()
