"""Own the list of renderings and how one is made; leave each to its module, imported only when it is asked for."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from python_tsan.render.html import SourceLines
    from python_tsan.report.model import Report

# ruff: noqa: PLC0415 -- a small log is shown in half a second, of which no rendering but the wanted one has a part


class Format(Enum):
    """The renderings of a report, spelled as ``--format`` takes them."""

    TERMINAL = "terminal"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    HTML = "html"
    MARKDOWN = "markdown"
    GITHUB = "github"

    @property
    def file_name(self) -> str:
        """The name that such a rendering has in a run's folder."""
        return _FILE_NAMES[self]


_FILE_NAMES = {
    Format.TERMINAL: "report.txt",
    Format.JSON: "report.json",
    Format.SARIF: "report.sarif",
    Format.JUNIT: "junit.xml",
    Format.HTML: "report.html",
    Format.MARKDOWN: "report.md",
    Format.GITHUB: "annotations.txt",
}


def no_source(file: str, line: int) -> tuple[tuple[int, str], ...]:  # noqa: ARG001 -- the shape of SourceLines
    """Know no source file."""
    return ()


def render(
    report: Report, wanted: Format, *, source_lines: SourceLines = no_source, root: str = "", verbose: bool = False
) -> bytes:
    """Return ``report`` in one format, encoded, with a line feed at its end.

    ``source_lines`` gives the HTML page its source; files below the absolute folder ``root`` are relative to it where a
    host wants that (SARIF, GitHub); ``verbose`` is the terminal's.
    """
    if wanted is Format.JSON:
        from python_tsan.report.codec import encode_report

        return encode_report(report)
    text = _text(report, wanted, source_lines=source_lines, root=root, verbose=verbose)
    return text.encode("utf-8", errors="backslashreplace")


def _text(report: Report, wanted: Format, *, source_lines: SourceLines, root: str, verbose: bool) -> str:
    match wanted:
        case Format.TERMINAL | Format.JSON:
            from python_tsan.render.terminal import plain_lines

            text = "".join(f"{line}\n" for line in plain_lines(report, verbose=verbose))
        case Format.SARIF:
            from python_tsan.render.sarif import render_sarif

            text = render_sarif(report, root=root)
        case Format.JUNIT:
            from python_tsan.render.junit import render_junit

            text = render_junit(report)
        case Format.HTML:
            from python_tsan.render.html import render_html

            text = render_html(report, source_lines=source_lines)
        case Format.MARKDOWN:
            from python_tsan.render.markdown import render_markdown

            text = render_markdown(report)
        case Format.GITHUB:
            from python_tsan.render.annotations import render_annotations

            text = render_annotations(report, root=root)
        case _:
            assert_never(wanted)
    return text
