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
    ``events`` is how many releases of the GIL the measurement of the tracer's memory makes, 0 for none.
    """

    pipeline: Pipeline
    folder: Path
    parts: Sequence[Part]
    again: bool
    events: int

    def say(self, text: str) -> None:
        """Show what is being measured."""
        self.pipeline.console.note(text)
