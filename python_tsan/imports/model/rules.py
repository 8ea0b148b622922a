"""State how CPython takes module locks, version by version, as facts that the import system acts on. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from python_tsan.version import Numbers


LAZY_SINCE = (3, 15)  # lazy imports: PEP 810


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What differs between releases when a module is imported.

    ``child_waits_for_parent``: with the child's lock held, wait for a parent that is still initialising (gh-130094).
    ``parents_first``: parents are imported or waited for before the child's lock is taken (gh-83065).
    ``looks_twice``: a module that a statement has found absent is looked for again before its lock is taken.
    ``by_name_accepts_partial``: a cycle closed by ``import_module`` hands out a partial module (gh-82276).
    """

    child_waits_for_parent: bool
    parents_first: bool
    looks_twice: bool
    by_name_accepts_partial: bool


_CLASSIC = Rules(child_waits_for_parent=False, parents_first=False, looks_twice=False, by_name_accepts_partial=False)
_WAITING = Rules(child_waits_for_parent=True, parents_first=False, looks_twice=False, by_name_accepts_partial=False)
_ORDERED = Rules(child_waits_for_parent=True, parents_first=True, looks_twice=True, by_name_accepts_partial=True)
_CANDIDATE = replace(_ORDERED, by_name_accepts_partial=False)


def rules_of(version: Numbers) -> Rules:
    """Return the rules of a release from 3.9 on.

    3.13.16 carries the backport of gh-130094, and what led to 3.15.0 came before the fix of gh-82276. 3.15.0 and 3.15.1
    have a regression (gh-159963) that is not modelled: they are taken for 3.15.2.
    """
    if version >= (3, 15):
        return _ORDERED if version >= (3, 15, 0) else _CANDIDATE
    return _WAITING if version >= (3, 13, 16) else _CLASSIC
