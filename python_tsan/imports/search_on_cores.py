"""Search for hazards on several cores: each process takes the pairs of some second threads."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from python_tsan.imports.search.prediction import Part, in_order, predict
from python_tsan.process.fork import Fork, may_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from python_tsan.imports.model.program_model import Model
    from python_tsan.imports.search.schedules import Hazard

# With fewer entries, a search takes less time than another process.
FEWEST_ENTRIES = 16


@dataclass(kw_only=True)
class Limit:
    """The time for pairs with calls, in seconds from the first of them on, and how many were left out of the search."""

    seconds: float
    left_out: int = 0
    _until: float | None = None

    def is_over(self, pairs: int) -> bool:
        """Return whether the next ``pairs`` are left out, and note them."""
        if self._until is None:
            self._until = time.monotonic() + self.seconds
        self.left_out = pairs if time.monotonic() > self._until else 0
        return bool(self.left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """What else comes of a part: the pairs that it left out, and the modules that could not be read."""

    left_out: int
    problems: Mapping[str, str]


def search(
    model: Model,
    entries: tuple[str, ...],
    into: list[Hazard],
    *,
    jobs: int,
    limit: Limit,
    advance: Callable[[float], None],
) -> dict[str, str]:
    """Append the hazards that ``predict`` yields to ``into``, in its order, and those found so far if interrupted.

    A process that dies is replaced by this one. Returns why modules could not be read that another process has read.
    """
    count = min(jobs, len(entries)) if len(entries) >= FEWEST_ENTRIES and may_fork() else 1

    def part(number: int, advance: Callable[[float], None]) -> Iterator[Hazard]:
        limit.left_out = 0
        return predict(model, entries, advance, leave_out=limit.is_over, part=Part(number, count))

    def make(number: int, end_as_orphan: Callable[[], None]) -> Iterator[Hazard | _Rest]:
        yield from part(number, lambda _fraction: end_as_orphan())
        yield _Rest(left_out=limit.left_out, problems=model.sources.problems)

    forks: dict[int, Fork[Hazard | _Rest]] = {}
    found: list[Hazard] = []
    problems: dict[str, str] = {}
    try:
        for number in range(1, count):
            with contextlib.suppress(OSError):
                forks[number] = Fork(partial(make, number))
        found.extend(part(0, advance))
        left_out = limit.left_out
        for number in range(1, count):
            fork = forks.pop(number, None)
            made, whole = fork.results() if fork else ([], False)
            found += [each for each in made if not isinstance(each, _Rest)]
            if whole:
                rest = next(each for each in made if isinstance(each, _Rest))
                left_out += rest.left_out
                problems |= rest.problems
            else:
                found.extend(part(number, advance))
                left_out += limit.left_out
        limit.left_out = left_out
    finally:
        for fork in forks.values():
            fork.end()
            found += [each for each in fork.results()[0] if not isinstance(each, _Rest)]
        into += in_order(found, entries)
    return problems
