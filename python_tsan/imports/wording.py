"""Describe a scan of imports in the sentences that all its renderings share, without layout and escaping."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from python_tsan.imports.confirm import Answer
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.plain_text import counted
from python_tsan.rate import describe_rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.imports.confirm import Proof, Wait
    from python_tsan.imports.document import Document, HazardRecord, ThreadRecord
    from python_tsan.imports.search.use_doubts import UseDoubt

OUTCOMES = {
    ImportOutcome.ERROR: "_DeadlockError, a RuntimeError, not an ImportError",
    ImportOutcome.PARTIAL: "a partially initialized module: ImportError, AttributeError or KeyError",
    ImportOutcome.HANG: "a hang that no error ends",
    ImportOutcome.OK: "nothing",
}


def summary(document: Document) -> str:
    """Return the whole scan in one sentence without a full stop."""
    refuted = len(document.hazards) - document.standing
    after = f" after {', '.join(document.main)}" if document.main else ""
    more = f"; {refuted} more predicted and refuted" if refuted else ""
    # A scan that saw nothing must not read like one that found nothing.
    cut = f"UNFINISHED, interrupted when {document.unfinished}: " if document.unfinished else ""
    missed = set(document.problems).difference(document.unread)
    scanned = len(set(document.entries) - missed)
    problems = f"; {counted(len(missed), 'entry')} not scanned" if missed else ""
    if not scanned and not document.standing:
        return f"{cut}Python {document.python}: nothing was scanned{problems}"
    if document.unread:
        problems += f"; {counted(len(document.unread), 'module')} could not be read or imported"
    if document.doubts:
        problems += f"; {counted(len(document.doubts), 'import')} that other locks or code can break"
    where = f"{'between' if scanned > 1 else 'in'} {counted(scanned, 'entry')}"
    return (
        f"{cut}Python {document.python}: {counted(document.standing, 'hazard')} {where}{after}, "
        f"{counted(document.modules, 'module')}{more}{problems}"
    )


def doubt(record: UseDoubt) -> str:
    """Return where a function imports, and what can go wrong there."""
    return f"{record.where}: {record.statement}: {record.text}"


ONCE = "each hazard is listed once, for the first pair of entries that meets at its two locks"


def short(name: str, most: int) -> str:
    """Shorten a module's name at its front: its end says more."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def pair(hazard: HazardRecord) -> str:
    """Return the two imports of a hazard."""
    one, two = hazard.threads
    return f"{one.imports} against {two.imports}"


def answer(hazard: HazardRecord) -> str:
    """Return what is known of a hazard in two or three words: ``confirmed 3 of 3``, ``predicted``."""
    proof = hazard.proof
    if proof is None:
        return "predicted"
    return f"{proof.answer.value} {proof.seen} of {proof.runs}" if proof.seen else f"{proof.answer.value}"


def verdict(proof: Proof) -> str:
    """Return what the directed runs say as one sentence without a full stop."""
    match proof.answer:
        case Answer.CONFIRMED:
            return f"confirmed {describe_rate(proof.seen, proof.runs)}"
        case Answer.REFUTED:
            runs = counted(proof.runs, "directed run")
            return f"refuted: in {runs} the threads came to the place, and nothing was wrong"
        case Answer.NOT_REACHED:
            return f"not reached: {counted(proof.runs, 'directed run')} could not bring the schedule about"


def own(thread: ThreadRecord) -> str:
    """Say what a thread does by itself: ``import of a``, ``import of a and call of f``."""
    module, _, function = thread.imports.partition(":")
    return f"import of {module} and call of {function}" if function else f"import of {module}"


def position(thread: ThreadRecord) -> str:
    """Say what a thread holds and what it waits for when the cycle is closed."""
    return f"{thread.thread} holds {thread.holds} and waits for {thread.waits_for}"


def waits(edge: Wait) -> str:
    """Return one edge of the wait-for graph."""
    return f"{edge.thread} waits for {edge.module}, held by {edge.holder}"


def window(hazard: HazardRecord) -> str:
    """Say which release of the GIL let another thread in, why that is not known, or nothing when it was not traced."""
    opening = hazard.window
    if opening is None:
        return ""
    if opening.problem:
        return f"no release can be shown: {opening.problem}"
    times = f"the importer of {hazard.threads[0].holds} released the GIL {counted(opening.releases, 'time')}"
    phase = f"{opening.phase}{f' of {opening.module}' if opening.module else ''}, in {opening.function}"
    if opening.intruder:
        return f"{times}; at one, {phase}, another thread took it and went on to import {opening.intruder}"
    return f"{times}, first at {phase}; in the traced run no other thread imported meanwhile"


def fix(hazard: HazardRecord) -> str:
    """Say what removes a hazard, an empty text when the model knows of no import that does."""
    if not hazard.removed_by:
        return ""
    first, *others = hazard.removed_by
    also = f" (or {', '.join(others)})" if others else ""
    return f"import {first}{also} on the main thread, before the threads begin"


def bindings(thread: ThreadRecord) -> Iterator[str]:
    """Yield a line for each lazy import of a chain: the module that a use requested, the place, and the statement."""
    for link in thread.links:
        if link.lazy_where:
            yield f"{link.module} is bound by {link.lazy_where}: {link.lazy_statement}"


def places(document: Document) -> Iterator[str]:
    """Yield every place of a scan as ``file:line``."""
    for hazard in document.hazards:
        for thread in hazard.threads:
            for link in thread.links:
                yield from filter(None, (link.where, link.lazy_where))
        if hazard.proof:
            yield from (f"{frame.file}:{frame.line}" for stack in hazard.proof.stacks for frame in stack.frames)
            yield from [hazard.proof.where] if hazard.proof.where else []


def common_folder(document: Document) -> str:
    """Return the folder below which every place is, with a slash at its end, or an empty text."""
    folders = {os.path.dirname(place) for place in places(document)}  # noqa: PTH120 -- a text of any machine
    if not folders or not all(folder.startswith("/") for folder in folders):
        return ""
    # One folder further up, so that what is left of a place begins with the package.
    common = os.path.dirname(os.path.commonpath(folders))  # noqa: PTH120 -- as above
    return f"{common}/" if len(common) > 1 else ""
