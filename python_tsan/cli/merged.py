"""Save and show what the runs of several machines come to together; for ``merge`` and ``run --cluster``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.render.registry import JSON, RENDERINGS, TERMINAL, Context
from python_tsan.render.source import source_reader
from python_tsan.result.codec import encode_result
from python_tsan.result.merge import merge
from python_tsan.result.model import RUN_FILE, ResultKind
from python_tsan.result.runs import PARTS_FOLDER
from python_tsan.result.store import open_run
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.cli import options
    from python_tsan.console import Console
    from python_tsan.result.model import Result


def save_merged(parts: Sequence[Result], formats: Sequence[str], context: options.Context, *, verbose: bool) -> Result:
    """Merge parts, which are as :func:`python_tsan.result.merge.unite` returns them; save the result with them all."""
    merged = merge(parts)
    folder = open_run(context.settings.output).path
    with storage_errors(folder):
        for part in parts:
            kept = folder / PARTS_FOLDER / part.id
            kept.mkdir(parents=True)
            write_whole(kept / RUN_FILE, encode_result(part))
        rendering = Context(source_lines=source_reader((Path.cwd(),)))
        for name in dict.fromkeys((JSON, *formats)):
            if name != TERMINAL:
                write_whole(folder / RENDERINGS[name].file_name, RENDERINGS[name].render(merged, rendering))
    if not formats or TERMINAL in formats:
        _show(merged, folder, context.console, verbose=verbose)
    context.console.note(f"all files: {folder}")
    return merged


def _show(merged: Result, folder: Path, console: Console, *, verbose: bool) -> None:
    from python_tsan.render import markdown, terminal  # noqa: PLC0415 -- mostly needed, never for machines

    if merged.kind is not ResultKind.CHECKS:
        console.lines(terminal.render_lines(merged, verbose=verbose))
        return
    console.lines(terminal.render_checks(merged))
    console.say(f"evidence: {folder / RUN_FILE}")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown.render_checks(merged))
