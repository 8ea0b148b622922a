"""Write the published JSON schemas to ``docs/`` from the classes that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from python_tsan.comparison.model import Comparison
from python_tsan.imports.document import Document
from python_tsan.result.model import Result
from tools.json_schema import published_schema

DOCS = Path(__file__).parents[1] / "docs"
SCHEMAS: dict[str, tuple[type[Any], str]] = {
    "comparison-schema.json": (Comparison, "python-tsan comparison"),
    "imports-schema.json": (Document, "python-tsan imports"),
    "run-schema.json": (Result, "python-tsan run.json"),
}


def main() -> None:
    """Write each schema whose content differs and name it."""
    for name, (kind, title) in SCHEMAS.items():
        file = DOCS / name
        text = published_schema(kind, title)
        if not file.is_file() or file.read_bytes() != text:
            file.write_bytes(text)
            print(f"written: docs/{name}")  # noqa: T201 -- the command's output


if __name__ == "__main__":
    main()
