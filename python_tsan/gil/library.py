"""Build the library that traces the GIL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.preload_library import PreloadLibrary, build_library

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.paths import Layout

NAME = "libpython_tsan_gil_tracer.so"
TRACER = PreloadLibrary(name=NAME, folder="tracer", title="GIL tracer", otherwise=", or use --engine debugger")


def build_tracer(*, layout: Layout, console: Console) -> Path:
    """Return the library, as :func:`python_tsan.preload_library.build_library` does, and with its errors."""
    return build_library(TRACER, layout=layout, console=console)
