"""Read what findings are compared with: baseline, suppressions, expectation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.known_races import shipped_file
from python_tsan.result import baseline
from python_tsan.result.blind_spots import blind_objects, constructs
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus
from python_tsan.result.matching import covered
from python_tsan.result.unlikely import blind_spot_of, construct_of
from python_tsan.running import expected
from python_tsan.running.suppressing import hiding, read_suppressions
from python_tsan.toml_file import read_text

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Container, Iterable, Mapping

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.expectation import Expectation
    from python_tsan.result.blind_spots import BlindSpot
    from python_tsan.result.model import Baseline, SharedObject
    from python_tsan.running.request import Request
    from python_tsan.running.suppressing import PlacedSuppression
    from python_tsan.tsan.digest import Group
    from python_tsan.tsan.finding import Finding

BLIND_SPOTS_PAGE = "docs/blind-spots.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What findings are compared with. ``today`` decides what has expired, ``own`` is what the user calls theirs.

    ``ignored`` are the ids of rules that do not count.
    """

    expectation: Expectation
    today: dt.date
    baseline: Baseline | None = None
    suppressions: tuple[PlacedSuppression, ...] = ()
    own: tuple[str, ...] = ()
    keep_unlikely: bool = False
    ignored: tuple[str, ...] = ()

    def standings(self, findings: Mapping[str, Finding]) -> dict[str, Standing]:
        """Return the standings of known and expected findings, by fingerprint; any other is new."""
        current = self.baseline and baseline.with_current_fingerprints(self.baseline, findings, self.own)
        known = baseline.standings(current, today=self.today) if current else {}
        expected_ones = frozenset().union(*covered(self.expectation, findings))
        return known | {each: Standing(status=FindingStatus.EXPECTED, reason="expected") for each in expected_ones}

    def standings_in(
        self, groups: Mapping[str, Group], objects: Iterable[SharedObject], recorded: Container[int] = ()
    ) -> dict[str, Standing]:
        """Return the standings of all that is known or suppressed, and of what is set aside for loaded ``objects``.

        ``recorded`` are the processes of which the lock recorder knows each cycle of locks.
        """
        known = self.standings({key: group.finding for key, group in groups.items()})
        known |= {
            key: _suppressed(by)
            for key, group in groups.items()
            if key not in known and (by := hiding(self.suppressions, group))
        }
        if self.keep_unlikely:
            return known
        blind = blind_objects(objects)
        aside = {
            key: spots[0]
            for key, group in groups.items()
            if key not in known
            and None not in (spots := [_aside(each, blind, recorded) for each in group.variants.values()])
        }
        return known | {key: _set_aside(spot) for key, spot in aside.items() if spot}


def read_rules(request: Request, *, today: dt.date, theirs: str = "") -> Rules:
    """Read the files that a request names. ``theirs`` is the suppressions file of the user's own ``TSAN_OPTIONS``.

    Raises :class:`UsageError` with file and line for anything wrong in them.
    """
    files = [Path(path) for path in (*request.suppressions, *([theirs] if theirs else []))]
    placed = read_suppressions(files)
    return Rules(
        expectation=expected.expectation_of(request.expect),
        today=today,
        baseline=baseline.parse_baseline(_text(request.baseline, "baseline"), request.baseline)
        if request.baseline
        else None,
        suppressions=placed,
        own=request.own,
        keep_unlikely=request.keep_unlikely,
        ignored=request.ignored,
    )


def with_shipped(rules: Rules, interpreter: Interpreter | None) -> Rules:
    """Add the list that comes with this package for the interpreter's version, if the program holds one of ours."""
    file = shipped_file(interpreter.version, free_threaded=interpreter.free_threaded) if interpreter else None
    if file is None:
        return rules
    return replace(rules, suppressions=(*rules.suppressions, *read_suppressions([file], shipped=True)))


def _suppressed(by: PlacedSuppression) -> Standing:
    reason = by.suppression.reason or f"{by.suppression} ({by.file}:{by.suppression.line})"
    return Standing(status=FindingStatus.SUPPRESSED, reason=reason)


def _aside(finding: Finding, blind: Mapping[str, BlindSpot], recorded: Container[int]) -> BlindSpot | None:
    return blind_spot_of(finding, blind) or construct_of(finding, constructs(), recorded)


def _set_aside(spot: BlindSpot) -> Standing:
    where = f"inside {spot.title}, which is not instrumented" if spot.objects else spot.title
    reason = f"{where}: {spot.why}"
    return Standing(status=FindingStatus.SET_ASIDE, reason=reason, link=BLIND_SPOTS_PAGE, blind_spot=spot.name)


def _text(path: str, what: str) -> str:
    return read_text(Path(path), what=f"the {what}", page=what)
