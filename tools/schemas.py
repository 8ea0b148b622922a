"""Write the published JSON schemas to ``docs/`` from the dataclasses that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.comparison.codec import comparison_schema
from python_tsan.imports.codec import document_schema
from python_tsan.result.codec import result_schema

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[1] / "docs"
SCHEMAS: dict[str, Callable[[], bytes]] = {
    "comparison-schema.json": comparison_schema,
    "imports-schema.json": document_schema,
    "run-schema.json": result_schema,
}


def main() -> None:
    """Write each schema whose content differs and name it."""
    for name, make in SCHEMAS.items():
        file = DOCS / name
        text = make()
        if not file.is_file() or file.read_bytes() != text:
            file.write_bytes(text)
            print(f"written: docs/{name}")  # noqa: T201 -- the command's output


if __name__ == "__main__":
    main()
