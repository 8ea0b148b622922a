"""A stand-in for a tool of this repository, which the workers of a cluster run in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_stand_in(repository: Path, tool: str, text: str) -> None:
    """Write ``text`` as what ``python -m tools.TOOL`` runs in the folder ``repository``."""
    package = repository / "tools" / tool
    package.mkdir(parents=True)
    (repository / "tools" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(text)
