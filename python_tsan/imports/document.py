"""Turn a scan into the plain values that every rendering is made from, and write and read them as JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

# msgspec reads these from the annotations when it decodes.
from python_tsan.imports.confirm import Answer, Proof
from python_tsan.imports.model.source import statement_at
from python_tsan.imports.outcomes import ImportOutcome  # noqa: TC001
from python_tsan.imports.search.preimport_choice import removers
from python_tsan.imports.search.schedules import Link  # noqa: TC001
from python_tsan.imports.search.use_doubts import UseDoubt  # noqa: TC001
from python_tsan.render import escape
from python_tsan.versioned_json import Format, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_tsan.imports.scan import Finding, Scan
    from python_tsan.render.registry import Context

SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadRecord:
    """One of the two threads: what it imports, by which chain, what it holds, and what it waits for at the end.

    ``asks`` is where it requests what it waits for, None where no statement does.
    """

    thread: str
    imports: str
    holds: str
    waits_for: str
    chain: tuple[Link, ...]
    asks: Link | None = None

    @property
    def links(self) -> tuple[Link, ...]:
        """The chain, and behind it where the thread requests what it waits for."""
        return (*self.chain, *filter(None, [self.asks]))


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
    proof: Proof | None
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
    doubts: tuple[UseDoubt, ...] = ()


def document_of(scan: Scan) -> Document:
    """Return the document of a scan: hazards that were confirmed first, those that were refuted last."""
    finishes = cache(scan.model.finished_by)
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
        doubts=scan.doubts,
    )


def _hazard(
    finding: Finding, finishes: Callable[[str], frozenset[str]], statement: Callable[[str], str]
) -> HazardRecord:
    def link(each: Link) -> Link:
        return replace(each, statement=statement(each.where), lazy_statement=statement(each.lazy_where))

    hazard, proof = finding.hazard, finding.proof
    one, two = (
        ThreadRecord(
            thread=thread,
            imports=entry,
            holds=held,
            waits_for=awaited,
            chain=tuple(map(link, chain)),
            asks=link(asks) if asks and asks.where else None,
        )
        for thread, entry, held, awaited, chain, asks in (
            ("T1", hazard.first, hazard.awaited, hazard.closing, hazard.chains[0], hazard.requests[0]),
            ("T2", hazard.second, hazard.closing, hazard.awaited, hazard.chains[1], hazard.requests[1]),
        )
    )
    stacks = tuple(
        replace(stack, frames=tuple(replace(each, text=statement(f"{each.file}:{each.line}")) for each in stack.frames))
        for stack in (proof.stacks if proof else ())
    )
    return HazardRecord(
        outcome=hazard.outcome,
        threads=(one, two),
        removed_by=removers(hazard, finishes),
        proof=replace(proof, stacks=stacks) if proof else None,
    )


FORMAT = Format(
    kind=Document,
    what="scan of imports",
    schema=SCHEMA,
    advice="name the output of `scan --format json`",
)


def render(document: Document, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the document as JSON, with control characters as codes."""
    return escape.json(encode(document)).decode()
