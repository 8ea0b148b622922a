"""Turn a scan into the plain values that every rendering is made from. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from python_tsan.imports.confirm.proof import Answer, Proof, ThreadStack, Wait

# msgspec reads these from the annotations when it decodes.
from python_tsan.imports.outcomes import ImportOutcome  # noqa: TC001
from python_tsan.imports.search.preimport_choice import finished_by, removers
from python_tsan.rate import lower_bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_tsan.imports.scan import Finding, Scan
    from python_tsan.imports.search.schedules import Link

SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """One module of a chain, and the statement that requested it; both texts are empty for an entry or a parent.

    Where that is the first use of a lazy name, ``lazy_where`` and ``lazy_statement`` are the import that binds it.
    """

    module: str
    where: str
    statement: str
    lazy_where: str = ""
    lazy_statement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadRecord:
    """One of the two threads: what it imports, by which chain, what it holds, and what it waits for at the end.

    ``asks`` is where it requests what it waits for, None where no statement does.
    """

    thread: str
    imports: str
    holds: str
    waits_for: str
    chain: tuple[LinkRecord, ...]
    asks: LinkRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRecord:
    """``seen`` of ``runs`` directed runs went wrong; ``at_least`` is the rate's lower bound at 95 % confidence.

    ``graph`` and ``stacks`` stood so at the moment when ``thread`` closed the cycle, at ``where``.
    """

    answer: Answer
    seen: int
    runs: int
    at_least: float
    outcome: ImportOutcome | None
    thread: str
    error: str
    where: str
    graph: tuple[Wait, ...]
    stacks: tuple[ThreadStack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecord:
    """When another thread could come in while the lock that T1 holds was held, as a trace of the GIL shows it.

    ``releases`` is how often the thread that held the lock released the GIL meanwhile. The release shown was for
    ``phase`` while ``module`` was imported, in the C ``function``; ``intruder`` is what another thread imported then,
    empty when no thread did. ``problem`` says why no release can be shown.
    """

    releases: int = 0
    phase: str = ""
    module: str = ""
    function: str = ""
    intruder: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRecord:
    """Two imports that can break each other. ``outcome`` is what is predicted; ``proof`` is None without a run.

    ``window`` is None when no trace of the GIL was requested. Any one of ``removed_by``, imported on the main thread
    before the threads begin, removes this hazard.
    """

    outcome: ImportOutcome
    threads: tuple[ThreadRecord, ThreadRecord]
    removed_by: tuple[str, ...]
    proof: ProofRecord | None
    window: WindowRecord | None = None

    @property
    def answer(self) -> Answer | None:
        """What directed runs say, None if none was made."""
        return self.proof.answer if self.proof else None

    @property
    def stands(self) -> bool:
        """True unless directed runs have refuted it."""
        return self.answer is not Answer.REFUTED


_RANKS = {Answer.CONFIRMED: 0, None: 1, Answer.NOT_REACHED: 1, Answer.REFUTED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtRecord:
    """A function ``entry`` that imports ``module`` at ``where``, and in ``text`` what else can go wrong there."""

    entry: str
    module: str
    where: str
    statement: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A scan. ``problems`` has one line for each entry that could not be scanned; ``standing`` hazards are not refuted.

    It also has one for each module whose source could not be read, and ``unread`` are their names.
    ``modules`` is how many were traced, ``main`` what the main thread imports before the threads begin. ``unfinished``
    says how far the scan had come when it was interrupted, and is empty for a whole one.
    """

    schema: int = SCHEMA
    python: str
    entries: tuple[str, ...]
    main: tuple[str, ...]
    modules: int
    standing: int
    problems: dict[str, str]
    hazards: tuple[HazardRecord, ...]
    unfinished: str = ""
    unread: tuple[str, ...] = ()
    doubts: tuple[DoubtRecord, ...] = ()


def document_of(scan: Scan) -> Document:
    """Return the document of a scan: hazards that were confirmed first, those that were refuted last."""
    finishes = cache(partial(finished_by, scan.model))
    statement = partial(statement_at, read=scan.model.sources.text)
    hazards = tuple(
        sorted((_hazard(each, finishes, statement) for each in scan.findings), key=lambda each: _RANKS[each.answer])
    )
    return Document(
        python=scan.python,
        entries=scan.entries,
        main=scan.main,
        modules=scan.modules,
        standing=sum(hazard.stands for hazard in hazards),
        problems=scan.problems,
        hazards=hazards,
        unfinished=scan.unfinished,
        unread=scan.unread,
        doubts=tuple(
            DoubtRecord(
                entry=each.call,
                module=each.module,
                where=each.place,
                statement=_statement_of(each.place, statement),
                text=each.text,
            )
            for each in scan.doubts
        ),
    )


def _hazard(
    finding: Finding, finishes: Callable[[str], frozenset[str]], statement: Callable[[str, int], str]
) -> HazardRecord:
    hazard = finding.hazard
    one, two = (
        ThreadRecord(
            thread=thread,
            imports=entry,
            holds=held,
            waits_for=awaited,
            chain=tuple(_link(link, statement) for link in chain),
            asks=_link(asks, statement) if asks and asks.place else None,
        )
        for thread, entry, held, awaited, chain, asks in (
            ("T1", hazard.first, hazard.awaited, hazard.closing, hazard.chains[0], hazard.requests[0]),
            ("T2", hazard.second, hazard.closing, hazard.awaited, hazard.chains[1], hazard.requests[1]),
        )
    )
    return HazardRecord(
        outcome=hazard.outcome,
        threads=(one, two),
        removed_by=removers(hazard, finishes),
        proof=_proof(finding.proof, statement) if finding.proof else None,
    )


def _link(link: Link, statement: Callable[[str, int], str]) -> LinkRecord:
    return LinkRecord(
        module=link.module,
        where=link.place,
        statement=_statement_of(link.place, statement),
        lazy_where=link.lazy,
        lazy_statement=_statement_of(link.lazy, statement),
    )


def _statement_of(place: str, statement: Callable[[str, int], str]) -> str:
    file, _, line = place.rpartition(":")
    return statement(file, int(line)) if file else ""


def statement_at(file: str, line: int, *, read: Callable[[str], str | None]) -> str:
    """Return a line of source without its indentation, an empty text if it is unavailable."""
    source = read(file)
    lines = source.splitlines() if source else []
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""


def _proof(proof: Proof, statement: Callable[[str, int], str]) -> ProofRecord:
    return ProofRecord(
        answer=proof.answer,
        seen=proof.seen,
        runs=proof.runs,
        at_least=round(lower_bound(proof.seen, proof.runs), 3),
        outcome=proof.outcome,
        thread=proof.thread,
        error=proof.error,
        where=proof.where,
        graph=proof.graph,
        stacks=tuple(
            ThreadStack(
                thread=stack.thread,
                frames=tuple(replace(frame, text=statement(frame.file, frame.line)) for frame in stack.frames),
            )
            for stack in proof.stacks
        ),
    )
