"""Own reading what findings are held against: baseline, suppressions, expectation; leave judging to others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.known_races import shipped_file
from python_tsan.errors import UsageError
from python_tsan.report.build import Standing
from python_tsan.report.model import FindingStatus
from python_tsan.running import baseline, expected
from python_tsan.running.suppressing import read_suppressions

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.expectation import Expectation
    from python_tsan.running.baseline import Baseline
    from python_tsan.running.request import Request
    from python_tsan.running.suppressing import Placed
    from python_tsan.tsan.digest import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What findings are held against. ``given`` counts the suppressions that are the user's own, which come first.

    ``today`` decides what has expired.
    """

    expectation: Expectation
    today: dt.date
    baseline: Baseline | None = None
    suppressions: tuple[Placed, ...] = ()
    given: int = 0

    def standings(self, groups: Iterable[Group]) -> dict[str, Standing]:
        """Return how findings stand, by fingerprint; one that is not there is new."""
        known = baseline.standings(self.baseline, today=self.today) if self.baseline else {}
        wanted = frozenset().union(*expected.covered(self.expectation, groups))
        return known | {each: Standing(status=FindingStatus.EXPECTED, reason="expected") for each in wanted}


def read_rules(request: Request, *, today: dt.date, theirs: str = "") -> Rules:
    """Read the files that a request names. ``theirs`` is the suppressions file of the user's own ``TSAN_OPTIONS``.

    Raises :class:`UsageError` with file and line for whatever is wrong in them.
    """
    files = [Path(path) for path in (*request.suppressions, *([theirs] if theirs else []))]
    placed = read_suppressions(files)
    return Rules(
        expectation=expected.WORDS.get(request.expect)
        or expected.parse_expectation(_text(request.expect, "expectation"), request.expect),
        today=today,
        baseline=baseline.parse_baseline(_text(request.baseline, "baseline"), request.baseline)
        if request.baseline
        else None,
        suppressions=placed,
        given=len(placed),
    )


def with_shipped(rules: Rules, interpreter: Interpreter | None) -> Rules:
    """Add the list that comes with this package for the interpreter's version, if the program holds one of ours."""
    file = shipped_file(interpreter.version, free_threaded=interpreter.free_threaded) if interpreter else None
    if file is None:
        return rules
    return Rules(
        expectation=rules.expectation,
        today=rules.today,
        baseline=rules.baseline,
        suppressions=(*rules.suppressions, *read_suppressions([file])),
        given=rules.given,
    )


def _text(path: str, what: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path}: {error.strerror}", page=what) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})", page=what) from error
