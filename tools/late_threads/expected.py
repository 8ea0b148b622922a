"""Read ``expected.toml``: what becomes of late threads in each version."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan.version import parse_version
from tools.late_threads.measure import Measured, Outcome

if TYPE_CHECKING:
    from tools.late_threads.measure import How, When


@cache
def _table() -> dict[str, dict[str, list[dict[str, Any]]]]:
    return tomllib.loads(Path(__file__).with_name("expected.toml").read_text(encoding="utf-8"))


def expected_outcome(version: str, how: How, when: When) -> Outcome | None:
    """Return what a case must show in a version; None for a version that was not measured before."""
    here = parse_version(version)
    for row in _table()[how.value][when.value]:
        if parse_version(row["since"]) <= here and ("before" not in row or here < parse_version(row["before"])):
            return Outcome(row["outcome"])
    return None


def disagreement(measured: Measured) -> str:
    """Say how a measurement differs from the table; empty if it does not."""
    expected = expected_outcome(measured.target.version, measured.how, measured.when)
    if expected is None:
        return f"{measured}: this version is not in the table"
    return "" if set(measured.outcomes) == {expected} else f"{measured}, expected {expected.value}"
