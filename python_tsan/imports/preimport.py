"""Make the list of modules to import on the main thread: choose it, check that it holds, and write it as source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.confirm import Answer, prove
from python_tsan.imports.scan import SEARCH, TRACE, scan
from python_tsan.imports.search.preimport_choice import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from python_tsan.imports.model.probe import Probe
    from python_tsan.imports.scan import Advance, Scan

CHOOSE, TRY, AGAIN = "choose", "try", " behind the list"
STEPS = TRACE, SEARCH, CHOOSE, f"{TRACE}{AGAIN}", f"{SEARCH}{AGAIN}", TRY


class Language(Enum):
    """In which language the list is written."""

    PYTHON = "python"
    CPP = "cpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The modules to import, in order, and what was seen without them (``before``) and with them (``after``).

    ``left_out`` are optional entries that cannot be imported.
    """

    entries: tuple[str, ...]
    modules: tuple[str, ...]
    before: Scan
    after: Scan
    left_out: tuple[str, ...] = ()


def plan(
    probe: Probe,
    entries: Sequence[str],
    *,
    runs: int,
    calls: bool = True,
    optional: Container[str] = (),
    advance: Advance = lambda _step, _fraction: None,
) -> Plan:
    """Scan ``entries``, choose the list, scan again behind it, and drive two threads into each old hazard once more.

    Raises SubjectError when an entry cannot be scanned, since its hazards would be missing, or when the list does not
    hold. An ``optional`` entry that cannot be imported is left out. ``advance`` receives which of the ``STEPS`` is
    under way, and how much of it is done.
    """
    before = scan(probe, entries, calls=calls, call_seconds=math.inf, advance=advance)
    left_out = tuple(entry for entry in before.entries if entry in before.problems and entry in optional)
    if reasons := "; ".join(f"{name}: {text}" for name, text in before.problems.items() if name not in left_out):
        raise SubjectError(f"no list can be made: {reasons}", advice="fix or exclude what cannot be imported")
    kept = tuple(entry for entry in before.entries if entry not in left_out)
    known = [finding.hazard for finding in before.findings]
    modules = choose(before.model, (*kept, *before.calls), known=known, advance=partial(advance, CHOOSE))
    modules = tuple(dict.fromkeys([*modules, *(doubt.module for doubt in before.doubts)]))
    after = scan(
        probe,
        kept,
        main=modules,
        calls=calls,
        call_seconds=math.inf,
        advance=lambda step, done: advance(f"{step}{AGAIN}", done),
    )
    _check(probe, before, after, runs, partial(advance, TRY))
    return Plan(entries=kept, modules=modules, before=before, after=after, left_out=left_out)


def _check(probe: Probe, before: Scan, after: Scan, runs: int, advance: Callable[[float], None]) -> None:
    """Raise SubjectError unless nothing is left of the hazards once ``after.main`` has been imported."""
    advice = "import the entries themselves on the main thread, in the order in which one thread can import them"
    problems = {entry: text for entry, text in after.problems.items() if entry not in after.main}
    failed = next((f"{entry}: {text}" for entry, text in problems.items()), "")
    if failed:
        raise SubjectError(f"the list {', '.join(after.main)} cannot be imported before {failed}", advice=advice)
    if after.findings:
        left = after.findings[0].hazard
        raise SubjectError(f"{left.first} against {left.second} is still a hazard behind the list", advice=advice)
    if after.doubts:
        raise SubjectError(f"{after.doubts[0].entry} is still in doubt behind the list", advice=advice)
    for number, finding in enumerate(before.findings):
        advance(number / len(before.findings))
        proof = prove(probe, finding.hazard, runs, after.main)
        if proof.answer is Answer.CONFIRMED:
            pair = f"{finding.hazard.first} against {finding.hazard.second}"
            raise SubjectError(f"{pair} still goes wrong behind the list: {proof.error}", advice=advice)


def write(found: Plan, language: Language, *, request: str = "") -> str:
    """Return the text of the file that holds the list. It names no version and no date, so that it stays the same.

    ``request`` has the words of the command line that chose the entries, by default their names.
    """
    command = f"python-tsan imports preimport {request or ' '.join(found.entries)}"
    if language is Language.PYTHON:
        lines = [
            '"""Imports to make on the main thread, in this order, before any other thread imports.',
            "",
            f"Written by: {command}",
            '"""',
        ]
        if found.modules:
            # A statement would only bind a name where all imports are lazy (PEP 810).
            imports = (f'import_module("{name}")' for name in found.modules)
            lines += ["", "from importlib import import_module", "", *imports]
        return "\n".join(lines) + "\n"
    names = "".join(f'    "{name}",\n' for name in found.modules)
    body = f"{{{{\n{names}}}}}" if names else "{}"
    return f"""\
#pragma once

/// Modules to import on the main thread, in this order, before any other thread imports.
/// Written by: {command} --format cpp
///
///     for (const char* name : python_tsan::preimports)
///         Py_XDECREF(python_tsan::safe_import_raw(name)); // or PyImport_ImportModule, with the GIL held

#include <array>

namespace python_tsan {{

inline constexpr std::array<const char*, {len(found.modules)}> preimports{body};

}} // namespace python_tsan
"""
