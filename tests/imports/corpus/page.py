"""Write the scores as a page: how many hazards there were, how many were predicted, and where the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

# What the corpus must show on every interpreter.
LEAST_RECALL, LEAST_PRECISION, LEAST_CONFIRMED_PRECISION = 1.0, 0.9, 1.0

COLUMNS = (
    "Python",
    "pairs",
    "schedules",
    "hazards",
    "predicted",
    "recall",
    "precision",
    "confirmed",
    "precision then",
    "recall then",
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
    confirmed_rightly: int
    outcomes: int

    @property
    def recall(self):
        """Share of the hazards that were predicted."""
        return self.found / self.hazards if self.hazards else 1.0

    @property
    def precision(self):
        """Share of the predictions that are hazards."""
        return self.found / self.predicted if self.predicted else 1.0

    @property
    def confirmed_precision(self):
        """Share of the confirmed predictions that are hazards."""
        return self.confirmed_rightly / self.confirmed if self.confirmed else 1.0

    @property
    def confirmed_recall(self):
        """Share of the hazards that were confirmed."""
        return self.confirmed_rightly / self.hazards if self.hazards else 1.0

    @property
    def met(self):
        """Return whether the group is as good as it must be."""
        return (
            self.recall >= LEAST_RECALL
            and self.precision >= LEAST_PRECISION
            and self.confirmed_precision >= LEAST_CONFIRMED_PRECISION
        )


def add_up(judged):
    usable = [each for each in judged if not each.broken]
    hazards = [each for each in usable if each.truth]
    return Score(
        pairs=len(usable),
        schedules=sum(each.schedules for each in usable),
        hazards=len(hazards),
        predicted=sum(bool(each.predicted) for each in usable),
        found=sum(bool(each.predicted) for each in hazards),
        confirmed=sum(bool(each.confirmed) for each in usable),
        confirmed_rightly=sum(bool(each.confirmed) for each in hazards),
        outcomes=sum(each.predicted == each.truth for each in usable),
    )


def by(judged, key):
    ordered = sorted(judged, key=key)
    return {name: add_up(list(group)) for name, group in groupby(ordered, key=key)}


def by_python(judged):
    return by(judged, lambda each: tuple(int(part) for part in each.python.split("+")[0].split(".")))


def share(value):
    return f"{value:.3f}"


def page(judged, *, date, machine, trees):
    """Return the page as Markdown."""
    broken = {(each.tree, each.pair) for each in judged if each.broken}
    lines = [
        "# How well hazards between imports are predicted",
        "",
        f"Made by `nox -s import_score` on {date}, {machine}. {trees} package trees that",
        "`tests/imports/corpus/trees.py` makes, hazardous and harmless twins side by side, on the interpreters",
        "of the first table.",
        "",
        "The truth of a pair of entries is not the predictor's: `tests/imports/corpus/driver.py` stops the one thread",
        "at every event of its imports in turn, lets the other run until it sleeps or ends, and sees what comes of it,",
        "in both orders. A pair is a hazard when any of these ends in an error, a half-made module or a hang.",
        f"{len(broken)} pairs are left out, because one thread cannot import their entries in sequence.",
        *_not_compiled(judged),
        "",
        "## By Python version",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
    ]
    for version, score in by_python(judged).items():
        cells = [
            ".".join(map(str, version)),
            str(score.pairs),
            f"{score.schedules:,}",
            str(score.hazards),
            str(score.predicted),
            share(score.recall),
            share(score.precision),
            str(score.confirmed),
            share(score.confirmed_precision),
            share(score.confirmed_recall),
            f"{score.outcomes} of {score.pairs}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## By shape",
        "",
        "| shape | pairs | hazards | predicted | recall | precision |",
        "|---|---|---|---|---|---|",
    ]
    for shape, score in by(judged, lambda each: each.tree.partition("/")[0]).items():
        cells = [
            shape,
            str(score.pairs),
            str(score.hazards),
            str(score.predicted),
            share(score.recall),
            share(score.precision),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Where they differ", ""]
    differing = list(_differing(judged))
    lines += differing or ["Nowhere."]
    lines += [
        "",
        f"Required on every version: recall {LEAST_RECALL:g}, precision {LEAST_PRECISION:g} before directed runs",
        f"and {LEAST_CONFIRMED_PRECISION:g} after.",
    ]
    return "\n".join(lines) + "\n"


def _differing(judged):
    kinds = {
        "missed": lambda each: each.truth and not each.predicted,
        "predicted, and harmless": lambda each: each.predicted and not each.truth,
        "a hazard that the directed runs did not confirm": lambda each: (
            each.truth and each.predicted and not each.confirmed
        ),
    }
    for kind, holds in kinds.items():
        found = [each for each in judged if not each.broken and holds(each)]
        for (tree, pair), group in groupby(
            sorted(found, key=lambda each: (each.tree, each.pair)), key=lambda each: (each.tree, each.pair)
        ):
            versions = ", ".join(
                sorted({each.python for each in group}, key=lambda text: [int(part) for part in text.split(".")])
            )
            yield f"- {kind}: `{tree}`, `{pair[0]}` against `{pair[1]}`, on {versions}"


def _not_compiled(judged):
    """Say on which versions trees were left out: those with an extension, where there are no headers for it."""
    trees = {}
    for each in judged:
        trees.setdefault(each.python, set()).add(each.tree)
    everywhere = set().union(*trees.values())
    without = {python: everywhere - known for python, known in trees.items() if everywhere - known}
    if without:
        names = sorted({name for left_out in without.values() for name in left_out})
        yield f"{len(names)} trees with a compiled extension are left out where there are no headers:"
        yield f"on {', '.join(without)}."
