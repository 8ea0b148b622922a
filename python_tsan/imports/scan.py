"""Scan entry points for hazards: trace each, predict between them, confirm what is predicted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_tsan.cores import usable_cores
from python_tsan.imports.confirm import Proof, prove
from python_tsan.imports.model.building import model_of
from python_tsan.imports.model.program_model import home
from python_tsan.imports.model.tracing import NOT_TRACED, TracingCut
from python_tsan.imports.search.use_doubts import use_doubts
from python_tsan.imports.search_on_cores import Limit, search
from python_tsan.plain_text import counted, one_line
from python_tsan.process import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from python_tsan.imports.model.building import Modelled
    from python_tsan.imports.model.probe import Probe
    from python_tsan.imports.model.program_model import Model
    from python_tsan.imports.search.schedules import Hazard
    from python_tsan.imports.search.use_doubts import UseDoubt

    Advance = Callable[[str, float | None], None]

# Pairs of calls grow with the square of their number, and hazards between modules are found before.
CALL_SECONDS = 30.0
CORES = usable_cores()
STEPS = TRACE, SEARCH, CONFIRM = "trace", "search", "confirm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A predicted hazard and what directed runs say of it (None if none was made)."""

    hazard: Hazard
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scan found. ``problems`` has a line for each entry that could not be traced, by entry.

    It also has one for each module whose source could not be read, and ``unread`` are their names.
    ``main`` is what the main thread imports before any thread begins, ``calls`` the calls that are entries too, and
    ``calls_left_out`` the number of those that would be, too, were they not beyond the limit. ``pairs_left_out`` is
    the number of pairs with a call that were not searched in time. ``unfinished`` says how far it came before it was
    interrupted, and is empty for a whole scan. ``doubts`` are what module locks do not explain and no run tries.
    """

    python: str
    entries: tuple[str, ...]
    modules: int
    problems: dict[str, str]
    findings: tuple[Finding, ...]
    main: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    calls_left_out: int = 0
    pairs_left_out: int = 0
    unfinished: str = ""
    unread: tuple[str, ...] = ()
    doubts: tuple[UseDoubt, ...] = ()
    model: Model = field(repr=False)


class ScanCut(KeyboardInterrupt):
    """An interrupt of a scan that has a partial result: ``scan`` says of itself that it is unfinished."""

    def __init__(self, scan: Scan) -> None:
        super().__init__()
        self.scan = scan


@dataclass(kw_only=True)
class _Cut:
    """Whether an interrupt may end a step of a scan rather than all of it; ``words`` say how far the step had come."""

    allowed: bool
    words: str = ""

    @contextlib.contextmanager
    def noted(self, words: Callable[[], str]) -> Iterator[None]:
        """Do a step that an interrupt may end."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.allowed or self.words:  # a second interrupt ends the scan
                raise
            self.words = words()


def scan(
    probe: Probe,
    entries: Sequence[str],
    *,
    runs: int = 0,
    main: Sequence[str] = (),
    jobs: int = CORES,
    calls: bool = False,
    partial: bool = False,
    call_seconds: float = CALL_SECONDS,
    advance: Advance = lambda _step, _fraction: None,
) -> Scan:
    """Scan ``entries``, after the main thread's imports ``main``; with ``runs``, confirm each hazard by directed runs.

    An entry that cannot be imported is reported in ``problems``, and the others are scanned. ``jobs`` is the
    number of processes at a time. With ``calls``, what functions of the entries' packages import when they are called
    is an entry too: ``call_seconds`` are for finding those calls and for searching the pairs that have one. ``advance``
    receives which of the ``STEPS`` is under way, and how much of it is done.

    With ``partial``, raises :class:`ScanCut` when it is interrupted: what had been traced by then is searched all the
    same, which takes no process and mostly no time, and what was predicted is reported without its proof.
    """
    needed = tuple(dict.fromkeys(entries))
    cut = _Cut(allowed=partial)
    advance(TRACE, None)
    modelled = _modelled(probe, needed, cut, main=main, jobs=jobs, calls=calls, call_seconds=call_seconds)
    model, problems = modelled.model, modelled.problems
    hazards: list[Hazard] = []
    elsewhere: dict[str, str] = {}
    limit = Limit(seconds=call_seconds - modelled.seconds)
    with cut.noted(lambda: f"{counted(len(hazards), 'hazard')} predicted"):
        traced = (*(entry for entry in needed if entry not in problems), *modelled.calls)
        elsewhere |= search(model, traced, hazards, jobs=jobs, limit=limit, advance=lambda done: advance(SEARCH, done))
    proofs: dict[int, Proof] = {}

    def note(proven: tuple[int, Proof]) -> None:
        proofs.update([proven])
        advance(CONFIRM, len(proofs) / len(hazards))

    with cut.noted(lambda: f"{len(proofs)} of {counted(len(hazards), 'hazard')} tried"):
        if runs and not cut.words:
            advance(CONFIRM, 0.0)
            in_parallel(
                lambda number: (number, prove(probe, hazards[number], runs, main)),
                range(len(hazards)),
                jobs=jobs,
                on_result=note,
            )
    doubts = () if cut.words else use_doubts(model, needed)
    if not cut.words:
        model.sources.check()
    unread = {**modelled.unread, **elsewhere, **model.sources.problems}
    found = Scan(
        python=probe.python.text,
        entries=tuple(entries),
        modules=len(model.program),
        problems={name: one_line(problem) for name, problem in {**unread, **problems}.items()},
        findings=tuple(Finding(hazard=each, proof=proofs.get(number)) for number, each in enumerate(hazards)),
        main=tuple(main),
        calls=modelled.calls,
        calls_left_out=modelled.left_out,
        pairs_left_out=limit.left_out,
        unfinished=cut.words,
        unread=tuple(name for name in unread if name not in problems),
        doubts=doubts,
        model=model,
    )
    if cut.words:
        raise ScanCut(found)
    return found


def _modelled(
    probe: Probe, entries: Sequence[str], cut: _Cut, *, main: Sequence[str], jobs: int, calls: bool, call_seconds: float
) -> Modelled:
    """Return the model of what the entries bring in, or of those that had been traced when an interrupt came."""
    try:
        return model_of(probe, entries, main=main, jobs=jobs, calls=calls, call_seconds=call_seconds)
    except TracingCut as interrupt:
        traced, modules = interrupt.traced, set(map(home, entries))
        missed = sum(traced.problems.get(name) == NOT_TRACED for name in modules)
        with cut.noted(lambda: f"{len(modules) - missed} of {len(modules)} entries had been traced"):
            raise
        return model_of(probe, entries, main=main, jobs=jobs, traced=traced)
