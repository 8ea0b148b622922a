"""Group findings that probably have one cause: the same raced object, or the same functions of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.render.stack import base_name, short_name
from python_tsan.render.wording import deciding_frames, functions, raced_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.result.finding import DistinctFinding

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Findings that belong together, in their order. ``title`` says what they share, and is empty for one alone."""

    title: str
    findings: tuple[DistinctFinding, ...]


def causes(findings: Iterable[DistinctFinding]) -> list[Cause]:
    """Group ``findings``, in order of first appearance."""
    groups: list[list[DistinctFinding]] = []
    group_of: dict[_Key, int] = {}
    for finding in findings:
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
