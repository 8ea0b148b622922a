"""Read the suppressions of a run, refuse the harmful ones, and count how often each one matched."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.errors import UsageError
from python_tsan.plain_text import counted, one_line
from python_tsan.result.model import SuppressionUse
from python_tsan.toml_file import read_text
from python_tsan.tsan.suppressions import Suppression, hides, parse_matches, parse_suppressions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from python_tsan.tsan.digest import Group


_COMPILED_IN = "compiled into the program"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSuppression:
    """One suppression and the file that it comes from; ``shipped`` if that file comes with python-tsan."""

    suppression: Suppression
    file: str
    shipped: bool = False


def read_suppressions(files: Iterable[Path], *, shipped: bool = False) -> tuple[PlacedSuppression, ...]:
    """Read suppression files in order.

    Raises :class:`UsageError` with file, line and reason for a line that the runtime would stop at or that would hide
    the user's own defects, and for a file that cannot be read.
    """
    placed: list[PlacedSuppression] = []
    for file in files:
        read = parse_suppressions(read_text(file, what="the suppressions", page="suppressions"))
        for refusal in read.refused:
            raise UsageError(
                f"{file}:{refusal.line}: {one_line(refusal.text)}: {refusal.reason}",
                advice="name the racing function with race_top:, or take the line out",
                page="suppressions",
            )
        placed += [PlacedSuppression(suppression=entry, file=str(file), shipped=shipped) for entry in read.entries]
    return tuple(placed)


def merged_text(placed: Iterable[PlacedSuppression]) -> str:
    """Return one file's worth of all entries, one to a line."""
    return "".join(f"{each.suppression}\n" for each in placed)


def for_runtime(placed: Iterable[PlacedSuppression]) -> str:
    """Return the entries for the runtime, which takes a single file; empty without any."""
    return merged_text(each for each in placed if each.suppression.is_for_runtime)


def hiding(placed: Iterable[PlacedSuppression], group: Group) -> PlacedSuppression | None:
    """Return the first suppression that hides all of what the recorder found, None for what is not hidden."""
    found = [
        next((each for each in placed if each.suppression.is_for_recorder and hides(each.suppression, variant)), None)
        for variant in group.variants.values()
    ]
    return None if None in found else next(iter(found), None)


def count_uses(
    placed: Iterable[PlacedSuppression], logs: Iterable[Path], groups: Iterable[Group] = ()
) -> tuple[SuppressionUse, ...]:
    """Return how often each suppression matched: by what ``print_suppressions=1`` left in the logs, or by ``groups``.

    ``groups`` are those that the recorder found, and a suppression hides. Last come those that matched and are in no
    file: the program has them compiled in (``__tsan_default_suppressions``).
    """
    placed = tuple(placed)
    hits = Counter[str]()
    for log in logs:
        with log.open(encoding="utf-8", errors="replace") as lines:
            for match in parse_matches(lines):
                hits[match.suppression] += match.hits
    for group in groups:
        matching = (each for each in placed if any(hides(each.suppression, one) for one in group.variants.values()))
        hits.update({str(each.suppression): group.occurrences for each in matching})
    own = hits.keys() - {str(each.suppression) for each in placed}
    compiled = (SuppressionUse(entry=entry, matched=hits[entry], reason=_COMPILED_IN) for entry in sorted(own))
    uses = (
        SuppressionUse(
            entry=str(each.suppression),
            matched=hits[str(each.suppression)],
            file=each.file,
            line=each.suppression.line,
            reason=each.suppression.reason,
            shipped=each.shipped,
        )
        for each in placed
    )
    return (*uses, *compiled)


def compiled_in(uses: Iterable[SuppressionUse]) -> tuple[list[str], list[str]]:
    """Return what to say of suppressions that the program has compiled in: doubts, then mere remarks.

    A doubt is one that would be refused in a file.
    """
    doubts, remarks = list[str](), list[str]()
    for use in (use for use in uses if use.reason == _COMPILED_IN):
        words = f"{use.entry}, a suppression that the program has compiled in, matched {counted(use.matched, 'time')}"
        refused = parse_suppressions(use.entry).refused
        doubts += [f"{words}: {each.reason}" for each in refused]
        remarks += [] if refused else [f"{words}."]
    return doubts, remarks
