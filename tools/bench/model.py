"""Define what is measured, the limit of each measurement, and the table of them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Part(Enum):
    """What can be measured by itself; the value is what ``--only`` takes."""

    RECIPE = "recipe"
    COLD = "cold"
    WARM = "warm"
    SHARED = "shared"
    NOTHING = "nothing"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measurement: wall and CPU seconds by step, or bytes. ``failed`` holds the reason when it has no result."""

    part: Part
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    bytes: int = 0
    conditions: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the figures depend on. ``load`` is the one-minute load average at the start; ``memory`` is in bytes."""

    cpu: str
    cores: int
    memory: int
    kernel: str
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All measurements of one machine, source and compiler. ``subject`` identifies the last two."""

    schema: int = 1
    machine: Machine
    subject: str
    measurements: tuple[Measurement, ...] = ()

    def get(self, part: Part) -> Measurement | None:
        """Return the measurement of ``part`` if it was made and gave a result."""
        return next((found for found in self.measurements if found.part is part and not found.failed), None)

    def replacing(self, new: Measurement) -> Report:
        """Return this report with ``new`` in the place of an earlier measurement of the same part."""
        kept = (found for found in self.measurements if found.part is not new.part)
        order = list(Part)
        measurements = tuple(sorted((*kept, new), key=lambda found: order.index(found.part)))
        return Report(machine=self.machine, subject=self.subject, measurements=measurements)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The most that a part may cost: a share of the recipe, seconds, or bytes."""

    share: float = 0.0
    seconds: float = 0.0
    bytes: int = 0


TARGETS = {
    Part.COLD: Target(share=0.24),
    Part.WARM: Target(share=0.04),
    Part.SHARED: Target(share=0.10),
    Part.NOTHING: Target(seconds=3.0),
    Part.SIZE: Target(bytes=80 * 10**6),
}

TITLES = {
    Part.RECIPE: "manual recipe: configure, make, make install, pip install numpy",
    Part.COLD: "build_python + install_numpy, nothing cached",
    Part.WARM: "again, compiler cache warm, build folder gone",
    Part.SHARED: "the same on a second, empty machine, compiler cache shared by redis",
    Part.NOTHING: "build_python + install_numpy + build_harness, nothing to do",
    Part.SIZE: "installed interpreter without numpy",
}

COLUMNS = ("what", "result", "CPU", "of the recipe", "at most", "met")


def rows(report: Report) -> list[list[str]]:
    """Return the table's rows, one per part, in the order of :class:`Part`."""
    return [_row(part, report) for part in Part]


def _row(part: Part, report: Report) -> list[str]:
    found = report.get(part)
    if found is None:
        reasons = [entry.failed for entry in report.measurements if entry.part is part]
        return [TITLES[part], f"failed: {reasons[0]}" if reasons else "not measured", "", "", limit(part), ""]
    if part is Part.SIZE:
        result, cpu = f"{found.bytes / 1e6:.1f} MB", ""
    else:
        result, cpu = f"{found.seconds:.1f} s", f"{found.cpu_seconds:.1f} s"
    share = share_of_recipe(part, report)
    verdict = met(part, report)
    return [
        TITLES[part],
        result,
        cpu,
        "" if share is None else f"{share:.3f} x",
        limit(part),
        "" if verdict is None else "yes" if verdict else "no",
    ]


def share_of_recipe(part: Part, report: Report) -> float | None:
    """Return a part's wall time as a share of the recipe's, or None if one of them is not known."""
    recipe, found = report.get(Part.RECIPE), report.get(part)
    if part in {Part.RECIPE, Part.SIZE} or recipe is None or found is None or not recipe.seconds:
        return None
    return found.seconds / recipe.seconds


def limit(part: Part) -> str:
    """Say what a part may cost; empty when it has no limit."""
    target = TARGETS.get(part)
    if target is None:
        return ""
    if target.bytes:
        return f"{target.bytes / 1e6:.0f} MB"
    return f"{target.share} x" if target.share else f"{target.seconds:.0f} s"


def met(part: Part, report: Report) -> bool | None:
    """Return whether a part is within its limit; None without a limit, or if it cannot be judged yet."""
    target, found = TARGETS.get(part), report.get(part)
    if target is None or found is None:
        return None
    if target.bytes:
        return found.bytes <= target.bytes
    if target.seconds:
        return found.seconds <= target.seconds
    share = share_of_recipe(part, report)
    return None if share is None else share <= target.share
