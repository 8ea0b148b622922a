"""Group findings that probably have one cause: the same raced object, or the same functions of the user's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.render.stack import short_name
from python_tsan.render.wording import deciding_frames, functions, raced_object
from python_tsan.result.finding import Attribution, FindingStatus
from python_tsan.tsan.fingerprint import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.result.finding import DistinctFinding

_Key = tuple[str, ...]
# Findings of one library that is not yours; a short rendering counts the others.
MAX_OF_LIBRARY = 20
_YOURS = frozenset({Attribution.YOURS, Attribution.REACHED})


class Cause(Struct, frozen=True, kw_only=True):
    """Findings that belong together, in their order. ``title`` says what they share, and is empty for one alone."""

    title: str
    findings: tuple[DistinctFinding, ...]


def ordered(findings: Iterable[DistinctFinding]) -> list[DistinctFinding]:
    """Return ``findings`` with those that fail first, and of these yours first; else in order of first appearance."""
    return sorted(findings, key=lambda finding: (not finding.status.fails, finding.attribution not in _YOURS))


def fold(findings: Iterable[DistinctFinding]) -> tuple[list[DistinctFinding], Counter[tuple[str, str]]]:
    """Return the findings to show, and how many others there are by library and status.

    All of yours are shown, none that is set aside, and a few of each other library.
    """
    shown: list[DistinctFinding] = []
    folded: Counter[tuple[str, str]] = Counter()
    of_library: Counter[str] = Counter()
    for finding in ordered(findings):
        where = _library(finding)
        of_library[where] += finding.attribution not in _YOURS
        if finding.status is FindingStatus.SET_ASIDE or of_library[where] > MAX_OF_LIBRARY:
            folded[where, finding.status.value] += 1
        else:
            shown.append(finding)
    return shown, folded


def _library(finding: DistinctFinding) -> str:
    """Return what a finding is folded under: the blind spot, else the object of the frame that decided whose it is."""
    modules = (base_name(origin.frame.module) for origin in finding.origins if origin.frame)
    return finding.blind_spot or next(filter(None, modules), finding.attribution.value)


def causes(findings: Iterable[DistinctFinding]) -> list[Cause]:
    """Group ``findings``, in the order of :func:`ordered`."""
    groups: list[list[DistinctFinding]] = []
    group_of: dict[_Key, int] = {}
    for finding in ordered(findings):
        keys = list(_keys(finding))
        number = next((group_of[key] for key in keys if key in group_of), len(groups))
        if number == len(groups):
            groups.append([])
        groups[number].append(finding)
        for key in keys:
            group_of.setdefault(key, number)
    return [Cause(title=_title(group), findings=tuple(group)) for group in groups]


def _keys(finding: DistinctFinding) -> Iterator[_Key]:
    if name := raced_object(finding):
        yield (finding.kind.name, "object", name)
    if frames := deciding_frames(finding):
        entries = {f"{short_name(frame)} in {base_name(frame.file) or frame.module}" for frame in frames}
        yield (finding.kind.name, "functions", *sorted(entries))


def _title(group: list[DistinctFinding]) -> str:
    if len(group) == 1:
        return ""
    objects = {raced_object(finding) for finding in group}
    if len(objects) == 1 and "" not in objects:
        return f"{group[0].title} on {objects.pop()}"
    return f"{group[0].title} in {' and '.join(functions(group[0])) or 'one place'}"
