"""Trace the original program and write the page about it, with its pictures: ``python -m tools.gil_page``.

Settings such as the Python version come from PYTHON_TSAN_<NAME> and the settings file.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.gil_trace import trace_scenario
from python_tsan.checking.lane import lane_setup
from python_tsan.config import load_settings
from python_tsan.console import make_console
from python_tsan.gil.codec import decode
from python_tsan.gil.timeline import html_page
from python_tsan.paths import Layout
from python_tsan.pipeline import Pipeline
from tools.browser import take_picture
from tools.gil_page.page import page, picture, without_folders

if TYPE_CHECKING:
    from python_tsan.gil.trace import Trace

ORIGINAL = "embed_test"  # the scenario that the project began with
MODULE = "numpy"
PAGE = Path("docs/why-the-gil-is-released.md")
PICTURE, TIMELINE = Path("images/why-the-gil-is-released.svg"), Path("images/gil-timeline.png")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.gil_page", description=__doc__)
    parser.add_argument("--trace", type=Path, help="a trace to describe (default: the original program is traced)")
    parser.add_argument("--module", default=MODULE, help="the import to explain (%(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page; pictures go into images/ next to it")
    return parser


def trace_original(folder: Path) -> Trace:
    """Build what is missing and trace the original program, with the working directory on its module path."""
    settings = load_settings({}, env=os.environ, cwd=Path.cwd())
    pipeline = Pipeline(settings=settings, layout=Layout(root=settings.cache), console=make_console())
    pipeline.interpreter_with_numpy  # noqa: B018 -- reading the property builds it
    bench, _ = lane_setup(pipeline.harness, toolchain=pipeline.toolchain, folder=folder, base=os.environ, jobs=1)
    return trace_scenario(bench, ORIGINAL, packages=".")


def main(words: list[str] | None = None) -> None:
    """Write the page and its pictures. The picture of the timeline needs Chromium; without it the old one is kept."""
    arguments = make_parser().parse_args(words)
    trace = decode(arguments.trace.read_bytes()) if arguments.trace else trace_original(arguments.page.parent)
    drawn, taken = (arguments.page.parent / name for name in (PICTURE, TIMELINE))
    drawn.parent.mkdir(parents=True, exist_ok=True)
    if not take_picture(html_page(without_folders(trace)), taken, env=os.environ):
        print("Chromium is not installed: the picture of the timeline is not updated")  # noqa: T201 -- the command's output
    timeline = str(TIMELINE) if taken.is_file() else ""
    lines = page(trace, arguments.module, picture=str(PICTURE), timeline=timeline)
    arguments.page.write_text("\n".join(lines).strip() + "\n", encoding="utf-8")
    drawn.write_text(picture(trace, arguments.module), encoding="utf-8")
    print(f"written: {arguments.page}, {drawn}")  # noqa: T201 -- the command's output


if __name__ == "__main__":
    main()
