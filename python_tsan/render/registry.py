"""List the renderings of a result. A new one is a module with a function ``render`` and a line in :data:`RENDERINGS`.

A rendering is loaded only when it is requested: a short log is shown in half a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_tsan.result.model import Result

    # (file, line) -> numbered lines around it, none when the file may not be shown
    SourceLines = Callable[[str, int], tuple[tuple[int, str], ...]]

TERMINAL, JSON = "terminal", "json"


def no_source(file: str, line: int) -> tuple[tuple[int, str], ...]:  # noqa: ARG001 -- the shape of SourceLines
    """Show no source line."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a rendering depends on besides the result.

    Files below the absolute folder ``root`` are relative to it where a host requires that (SARIF, GitHub);
    ``source_lines`` gives a page its source. ``verbose`` and ``quiet`` are the terminal's: whole stacks and findings
    that do not fail, or the table and the conclusion only.
    """

    root: str = ""
    source_lines: SourceLines = no_source
    verbose: bool = False
    quiet: bool = False


DEFAULT = Context()


class Renderer(Protocol):
    """What the module of a rendering provides."""

    def render(self, result: Result, context: Context) -> str:
        """Return the whole rendering, with a line feed at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """One format: its name on the command line, the name of its file in a run's folder, and its module."""

    name: str
    file_name: str
    media_type: str
    module: str

    def render(self, result: Result, context: Context = DEFAULT) -> bytes:
        """Return ``result`` in this format."""
        renderer = cast("Renderer", import_module(f"{__package__}.{self.module}"))
        return renderer.render(result, context).encode("utf-8", errors="backslashreplace")


RENDERINGS = {
    each.name: each
    for each in (
        Rendering(name=TERMINAL, file_name="report.txt", media_type="text/plain", module="terminal"),
        Rendering(name=JSON, file_name="run.json", media_type="application/json", module="document"),
        Rendering(name="sarif", file_name="report.sarif", media_type="application/sarif+json", module="sarif"),
        Rendering(name="junit", file_name="junit.xml", media_type="application/xml", module="junit"),
        Rendering(name="html", file_name="report.html", media_type="text/html", module="html"),
        Rendering(name="markdown", file_name="report.md", media_type="text/markdown", module="markdown"),
        Rendering(name="github", file_name="annotations.txt", media_type="text/plain", module="github"),
    )
}
