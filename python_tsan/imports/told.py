"""Own the forms in which a scan is written; leave each form to its module, and files and terminal to the verb."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, assert_never

from python_tsan.imports.codec import encode_document
from python_tsan.imports.markdown import render_markdown
from python_tsan.imports.terminal import render_terminal

if TYPE_CHECKING:
    from python_tsan.imports.document import Document


class Format(Enum):
    """How a scan is written."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


def tell(document: Document, form: Format) -> str:
    """Write a scan in one of the forms, without a line end after its last line."""
    match form:
        case Format.TERMINAL:
            return "\n".join(render_terminal(document))
        case Format.JSON:
            return encode_document(document).decode().rstrip("\n")
        case Format.MARKDOWN:
            return render_markdown(document)
        case Format.HTML:
            from python_tsan.imports.html import render_html  # noqa: PLC0415 -- jinja2 costs more than a short scan

            return render_html(document).rstrip("\n")
        case _ as never:
            assert_never(never)
