"""Hold the request of a bench: where and on what to measure, and the options that narrow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from python_tsan.pipeline import Pipeline
    from tools.bench.model import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user requests to be measured.

    ``folder`` receives what is built and kept. ``parts`` are those of the building, measured again if ``again``;
    ``events`` is how many releases of the GIL the measurement of the tracer's memory makes, 0 for none. ``against`` is
    another checkout, to be compared with on logs with one of ``log`` in their names, ``scale`` times as large.
    """

    pipeline: Pipeline
    folder: Path
    parts: Sequence[Part]
    again: bool
    events: int
    against: Path | None = None
    log: Sequence[str] = ()
    scale: float = 1.0

    def say(self, text: str) -> None:
        """Show what is being measured."""
        self.pipeline.console.note(text)
