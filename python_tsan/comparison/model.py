"""The comparison of runs, which its renderings are made from. No I/O.

Its JSON is published as ``docs/comparison-schema.json``. A field may be added under the same ``schema``; one that is
renamed, removed or given another meaning raises it.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

SCHEMA = 2


class Axis(Enum):
    """A respect in which two runs can differ, and that someone may be about to change."""

    PYTHON = "CPython"
    THREADING = "GIL"
    COMPILER = "compiler"
    BINDING = "binding"
    BUILD = "build"
    LANE = "lane"
    NUMPY = "numpy"


class Seen(Enum):
    """What the runs of one row showed; of several runs, the weightiest (the order of this list) counts."""

    DOUBT = "could not judge"
    CRASH = "crash"
    HANG = "hang"
    RACE = "race"
    LOCK_ORDER = "lock order"  # a lock-order inversion
    FINDING = "other finding"  # a thread leak, a misused mutex and the like
    ERROR = "error"
    OTHER = "other result"  # no finding, but a wrong value or exit code
    CLEAN = "clean"
    SKIPPED = "not run"

    @property
    def compares(self) -> bool:
        """Whether anything can be concluded from the difference between this and another."""
        return self not in {Seen.DOUBT, Seen.SKIPPED}


class ColumnVerdict(Enum):
    """A whole run in a word."""

    CLEAN = "clean"
    NOT_CLEAN = "NOT clean"
    COULD_NOT_JUDGE = "could not judge"


class Configuration(Struct, frozen=True, kw_only=True):
    """What a run ran on, as text by axis; empty where it is not known. ``binding`` is such as ``pybind11 2.13.6``."""

    python: str = ""
    threading: str = ""
    compiler: str = ""
    binding: str = ""
    build: str = ""
    lane: str = ""
    numpy: str = ""

    def value(self, axis: Axis) -> str:
        """Return the run's value of one axis."""
        text: str = getattr(self, axis.name.lower())
        return text


class Cell(Struct, frozen=True, kw_only=True):
    """What one run showed in one row: ``met`` of ``runs`` showed ``seen``.

    ``as_expected`` is whether that run counts it as met; ``detail`` is its reason in words.
    """

    seen: Seen
    as_expected: bool = True
    met: int = 0
    runs: int = 0
    detail: str = ""

    def marked(self, word: str) -> str:
        """Return the word for what was seen, in capitals where the run did not expect it."""
        return word if self.as_expected or not self.seen.compares else word.upper()


class Column(Struct, frozen=True, kw_only=True):
    """One run: where its file is, what it ran on, its verdict, and its cells by row."""

    run: str
    file: str
    configuration: Configuration
    verdict: ColumnVerdict
    conclusion: str
    cells: dict[str, Cell]


class RowKind(Enum):
    """What a row of the table is."""

    CHECK = "check"
    PROGRAM = "program"
    FINDING = "finding"


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table. ``id`` is a check's name or a finding's fingerprint."""

    id: str
    title: str
    kind: RowKind


class Change(Struct, frozen=True, kw_only=True):
    """What one step changes in one row: runs that are alike in all else showed ``before``, and then ``after``.

    ``steps`` are the pairs of columns, counted from 1, that show it; ``of`` pairs could have shown it.
    """

    row: str
    axis: Axis
    old: str
    new: str
    before: Seen
    after: Seen
    steps: tuple[tuple[int, int], ...]
    of: int


class Meaning(Struct, frozen=True, kw_only=True):
    """What changes of one kind come to for someone who makes that step, and what to do about it."""

    axis: Axis
    old: str
    new: str
    before: Seen
    after: Seen
    rows: tuple[str, ...]
    says: str
    do: str
    link: str = ""


class Chance(Struct, frozen=True, kw_only=True):
    """A row in which runs of one and the same configuration differ: luck, and not the step, decides it."""

    row: str
    columns: tuple[int, ...]
    counts: dict[str, int]


class Unexplained(Struct, frozen=True, kw_only=True):
    """A row in which runs differ that differ in several ``axes`` at once, so that none of them can be blamed."""

    row: str
    axes: tuple[Axis, ...]


class Comparison(Struct, frozen=True, kw_only=True):
    """Everything that a rendering may say. Columns are counted from 1; ``unreadable`` are files that were left out."""

    schema: int = SCHEMA
    package: str = ""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    differing: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    meanings: tuple[Meaning, ...] = ()
    chances: tuple[Chance, ...] = ()
    unexplained: tuple[Unexplained, ...] = ()
    unreadable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> ColumnVerdict:
        """The worst of the runs; a finding outweighs a run that could not be judged."""
        verdicts = {column.verdict for column in self.columns}
        if ColumnVerdict.NOT_CLEAN in verdicts:
            return ColumnVerdict.NOT_CLEAN
        doubtful = ColumnVerdict.COULD_NOT_JUDGE in verdicts or self.unreadable
        return ColumnVerdict.COULD_NOT_JUDGE if doubtful else ColumnVerdict.CLEAN
