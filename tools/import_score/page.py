"""Write the scores as a page: how many hazards there were, how many were predicted, and where the two differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    from tools.import_score.model import JudgedPair

    Key = TypeVar("Key", str, tuple[int, ...])

# What the corpus must show on every interpreter.
LEAST_RECALL, LEAST_PRECISION, LEAST_CONFIRMED_PRECISION = 1.0, 0.99, 1.0

INTRODUCTION = """\
# How well hazards between imports are predicted

Made by `nox -s import_score` on {date}, {machine}. {trees} package trees that
`tests/imports/corpus/trees.py` makes, hazardous and harmless twins side by side, on the interpreters
of the first table.

The truth of a pair of entries is not the predictor's: `tests/imports/corpus/driver.py` stops the one thread
at every event of its imports in turn, lets the other run until it sleeps or ends, and records the result,
in both orders. A pair is a hazard when any of these ends in an error, a partially initialized module or a
hang. {broken} pairs are left out, because one thread cannot import their entries in sequence."""
COLUMNS = (
    "Python",
    "pairs",
    "schedules",
    "hazards",
    "predicted",
    "recall",
    "precision",
    "confirmed",
    "precision of confirmed",
    "recall of confirmed",
    "same outcomes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The judged pairs of one group, added up. A pair is a hazard when any schedule went wrong."""

    pairs: int
    schedules: int
    hazards: int
    predicted: int
    found: int
    confirmed: int
    rightly_confirmed: int
    outcomes: int

    @property
    def recall(self) -> float:
        """Share of the hazards that were predicted."""
        return _share(self.found, self.hazards)

    @property
    def precision(self) -> float:
        """Share of the predictions that are hazards."""
        return _share(self.found, self.predicted)

    @property
    def confirmed_precision(self) -> float:
        """Share of the confirmed predictions that are hazards."""
        return _share(self.rightly_confirmed, self.confirmed)

    @property
    def confirmed_recall(self) -> float:
        """Share of the hazards that were confirmed."""
        return _share(self.rightly_confirmed, self.hazards)

    @property
    def met(self) -> bool:
        """Return whether the group is as good as it must be."""
        return (
            self.recall >= LEAST_RECALL
            and self.precision >= LEAST_PRECISION
            and self.confirmed_precision >= LEAST_CONFIRMED_PRECISION
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def add_up(judged: Iterable[JudgedPair]) -> Score:
    """Return the score of a group; pairs that are broken do not count."""
    usable = [each for each in judged if not each.broken]
    hazards = [each for each in usable if each.truth]
    return Score(
        pairs=len(usable),
        schedules=sum(each.schedules for each in usable),
        hazards=len(hazards),
        predicted=sum(bool(each.predicted) for each in usable),
        found=sum(bool(each.predicted) for each in hazards),
        confirmed=sum(bool(each.confirmed) for each in usable),
        rightly_confirmed=sum(bool(each.confirmed) for each in hazards),
        outcomes=sum(each.predicted == each.truth for each in usable),
    )


def _by(judged: Iterable[JudgedPair], key: Callable[[JudgedPair], Key]) -> dict[Key, Score]:
    return {name: add_up(group) for name, group in groupby(sorted(judged, key=key), key=key)}


def by_python(judged: Iterable[JudgedPair]) -> dict[tuple[int, ...], Score]:
    """Return the score of each Python version, oldest first."""
    return _by(judged, lambda each: each.version)


def page(judged: Sequence[JudgedPair], *, date: str, machine: str, trees: int) -> str:
    """Return the page as Markdown."""
    broken = {(each.tree, each.pair) for each in judged if each.broken}
    return "\n".join(
        [
            INTRODUCTION.format(date=date, machine=machine, trees=trees, broken=len(broken)),
            *_not_compiled(judged),
            "",
            "## By Python version",
            "",
            *_table(COLUMNS, (_version_row(version, score) for version, score in by_python(judged).items())),
            "",
            "## By shape",
            "",
            *_table(
                ("shape", "pairs", "hazards", "predicted", "recall", "precision"),
                (_shape_row(shape, score) for shape, score in _by(judged, _shape).items()),
            ),
            "",
            "## Where they differ",
            "",
            *(list(_differing(judged)) or ["Nowhere."]),
            "",
            f"Required on every version: recall {LEAST_RECALL:g}, precision {LEAST_PRECISION:g} before directed runs",
            f"and {LEAST_CONFIRMED_PRECISION:g} after.",
            "",
        ]
    )


def _shape(judged: JudgedPair) -> str:
    return judged.tree.partition("/")[0]


def _shape_row(shape: str, score: Score) -> tuple[object, ...]:
    return (shape, score.pairs, score.hazards, score.predicted, f"{score.recall:.3f}", f"{score.precision:.3f}")


def _version_row(version: tuple[int, ...], score: Score) -> tuple[object, ...]:
    return (
        ".".join(map(str, version)),
        score.pairs,
        f"{score.schedules:,}",
        score.hazards,
        score.predicted,
        f"{score.recall:.3f}",
        f"{score.precision:.3f}",
        score.confirmed,
        f"{score.confirmed_precision:.3f}",
        f"{score.confirmed_recall:.3f}",
        f"{score.outcomes} of {score.pairs}",
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _differing(judged: Iterable[JudgedPair]) -> Iterator[str]:
    """Yield one line for each kind of difference and pair, with the versions that show it."""
    found: dict[tuple[str, str, tuple[str, str]], set[tuple[tuple[int, ...], str]]] = {}
    for each in judged:
        if kind := _difference(each):
            found.setdefault((kind, each.tree, each.pair), set()).add((each.version, each.python))
    for kind in DIFFERENCES:
        for name, tree, pair in sorted(key for key in found if key[0] == kind):
            versions = ", ".join(text for _, text in sorted(found[name, tree, pair]))
            yield f"- {kind}: `{tree}`, `{pair[0]}` against `{pair[1]}`, on {versions}"


DIFFERENCES = MISSED, HARMLESS, NOT_CONFIRMED = (
    "missed",
    "predicted, and harmless",
    "a hazard that the directed runs did not confirm",
)


def _difference(judged: JudgedPair) -> str:
    if judged.broken or not (judged.truth or judged.predicted):
        return ""
    if not judged.truth:
        return HARMLESS
    if not judged.predicted:
        return MISSED
    return "" if judged.confirmed else NOT_CONFIRMED


def _not_compiled(judged: Iterable[JudgedPair]) -> Iterator[str]:
    """Yield on which versions trees were left out: those with an extension, where there are no headers for it."""
    trees: dict[str, set[str]] = {}
    for each in judged:
        trees.setdefault(each.python, set()).add(each.tree)
    everywhere = set().union(*trees.values())
    without = {python: everywhere - known for python, known in trees.items() if everywhere - known}
    if without:
        names = set().union(*without.values())
        yield f"{len(names)} trees with a compiled extension are left out where there are no headers:"
        yield f"on {', '.join(without)}."
