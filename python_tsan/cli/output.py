"""Declare where the output of a verb goes, and write it there: a file, standard output, or the summary of a job."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import UsageError
from python_tsan.plain_text import did_you_mean
from python_tsan.render.registry import RENDERINGS, TERMINAL
from python_tsan.storage import storage_errors, write_named

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from python_tsan.console import Console
    from python_tsan.result.model import Result


def add_output(parser: argparse.ArgumentParser, formats: Iterable[str]) -> None:
    """Declare ``--format`` and ``--output`` of a verb that writes one rendering."""
    *others, last = formats
    parser.add_argument(
        "--format",
        choices=(*others, last),
        default=TERMINAL,
        metavar="FORMAT",
        help=f"{', '.join(others)} or {last} ({TERMINAL})",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result to this file")


def add_formats(parser: argparse.ArgumentParser) -> None:
    """Declare ``--format`` of the verbs that write several formats into the folder of a run."""
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        metavar="FORMAT",
        help=f"{', '.join(RENDERINGS)}; may be repeated",
    )


def words_of(given: Sequence[str]) -> tuple[str, ...]:
    """Return the values of an option that may be repeated or comma-separated, each once."""
    return tuple(dict.fromkeys(word.strip() for each in given for word in each.split(",") if word.strip()))


def formats_of(given: Sequence[str]) -> tuple[str, ...]:
    """Return the formats of repeated or comma-separated options, each once. Raises UsageError for an unknown one."""
    names = words_of(given)
    for name in names:
        if name not in RENDERINGS:
            listing = f"choose from {', '.join(RENDERINGS)}"
            raise UsageError(f"unknown format {name!r}", advice=did_you_mean(name, RENDERINGS, otherwise=listing))
    return names


def write_output(data: bytes | Iterable[bytes], name: str, output: Path | None, console: Console) -> None:
    """Write the rendering ``name`` to its file, or to standard output; it may be in parts."""
    if output is None:
        sys.stdout.buffer.writelines((data,) if isinstance(data, bytes) else data)
        sys.stdout.buffer.flush()
        return
    with storage_errors(output):
        write_named(output.absolute(), data)
    console.note(f"{name} in {output}")


def add_to_job_summary(result: Result) -> None:
    """Add the table of a run of checks to the summary of a GitHub job, where this is one."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        from python_tsan.render.markdown import render_checks  # noqa: PLC0415 -- only the requested rendering is loaded

        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(render_checks(result))
