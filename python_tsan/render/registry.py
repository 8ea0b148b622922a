"""List the renderings of a result. A new one is a module with a function ``render`` and a row in :data:`RENDERINGS`.

A rendering is loaded only when it is requested: a short log is shown in half a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from msgspec import Struct

from python_tsan.storage import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from python_tsan.result.model import Result

    # (file, line) -> numbered lines around it, none when the file may not be shown
    SourceLines = Callable[[str, int], tuple[tuple[int, str], ...]]

TERMINAL, JSON = "terminal", "json"
Document = TypeVar("Document")


def no_source(file: str, line: int) -> tuple[tuple[int, str], ...]:  # noqa: ARG001 -- the shape of SourceLines
    """Show no source line."""
    return ()


class Context(Struct, frozen=True, kw_only=True):
    """What a rendering depends on besides the result.

    Files below the absolute folder ``root`` are relative to it where a host requires that (SARIF, GitHub);
    ``source_lines`` gives a page its source. ``verbose`` and ``quiet`` are the terminal's: whole stacks and findings
    that do not fail, or the tables and the conclusion only.
    """

    root: str = ""
    source_lines: SourceLines = no_source
    verbose: bool = False
    quiet: bool = False


DEFAULT = Context()


class Renderer(Protocol):
    """What the module of a rendering provides."""

    def render(self, document: object, context: Context) -> str:
        """Return the whole rendering of a result (or of a comparison, or a scan), with a line feed at its end."""


class RendererInParts(Protocol):
    """What the module of a rendering provides that may be too large for the memory."""

    def parts(self, document: object, context: Context) -> Iterable[bytes]:
        """Yield the rendering in parts."""


class Rendering(Struct, Generic[Document], frozen=True, kw_only=True):
    """One format of a kind of document: its name on the command line, the name of its file, and its module."""

    name: str
    file_name: str
    module: str

    def render(self, document: Document, context: Context = DEFAULT) -> bytes:
        """Return ``document`` in this format."""
        renderer = cast("Renderer", import_module(self.module))
        return renderer.render(document, context).encode("utf-8", errors="backslashreplace")

    def parts(self, document: Document, context: Context = DEFAULT) -> Iterable[bytes]:
        """Return ``document`` in this format in parts, to write one after another."""
        module = import_module(self.module)
        if hasattr(module, "parts"):
            return cast("RendererInParts", module).parts(document, context)
        return (self.render(document, context),)


def renderings(room: str, rows: tuple[tuple[str, str, str], ...]) -> dict[str, Rendering[Document]]:
    """Return renderings by name; a row is a name, a file name, and a module of ``room``."""
    return {
        name: Rendering(name=name, file_name=file_name, module=f"{room}.{module}") for name, file_name, module in rows
    }


RENDERINGS: dict[str, Rendering[Result]] = renderings(
    "python_tsan.render",
    (
        (TERMINAL, "report.txt", "terminal"),
        (JSON, "run.json", "document"),
        ("sarif", "report.sarif", "sarif"),
        ("junit", "junit.xml", "junit"),
        ("html", "report.html", "html"),
        ("markdown", "report.md", "markdown"),
        ("github", "annotations.txt", "github"),
    ),
)


def write_renderings(result: Result, folder: Path, names: Iterable[str], context: Context) -> None:
    """Write the document and these renderings into the folder of a run; the terminal's is shown instead."""
    for name in dict.fromkeys((JSON, *names)):
        if name != TERMINAL:
            write_whole(folder / RENDERINGS[name].file_name, RENDERINGS[name].parts(result, context))
