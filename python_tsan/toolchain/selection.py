"""Search, probe and choose a toolchain, with the help of a cache of earlier probes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from python_tsan.toolchain.choose import first_working, rank, reason, refusal
from python_tsan.toolchain.hints import this_manager
from python_tsan.toolchain.model import Candidate, Probe, Rejection, Toolchain
from python_tsan.toolchain.probe_cache import ProbeCache
from python_tsan.toolchain.search import Found, find_compilers, identify, locate, places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.paths import Layout

# Reasons that only a new or changed file can remove, so that they need not be looked into again before that.
SETTLED = {Rejection.FOREIGN, Rejection.NO_CXX, Rejection.NO_RUNTIME, Rejection.OWN_RUNTIMES, Rejection.NO_SYMBOLIZER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Every compiler of the machine with its probe, most requested first; ``chosen`` is None if none works."""

    probes: tuple[Probe, ...]
    requested: str | None
    chosen: Toolchain | None
    why: str


def choose_toolchain(requested: str | None, *, layout: Layout, console: Console) -> Toolchain:
    """Return the toolchain to use: what ``requested`` names, else the newest clang that works, else the newest gcc.

    A compiler that is only in a folder outside ``PATH`` is used when none in ``PATH`` works.

    ``requested`` is a family (``gcc``), a release (``clang-19``) or a path. A compiler that was probed before and is
    unchanged is not started again. Raises :class:`python_tsan.errors.ToolchainError` when none works, and ``OSError``
    when the cache cannot be written.
    """
    prober = _Prober(layout, console)
    known = prober.candidates(requested)
    tried: list[Probe] = []
    for candidate in rank(known, requested):
        tried.append(prober.probe(candidate))
        if tried[-1].toolchain:
            return tried[-1].toolchain
    raise refusal(tried, rank(known), requested, this_manager())


def survey(requested: str | None = None, *, layout: Layout, console: Console) -> Survey:
    """Probe every compiler of this machine and say which one would be chosen; raises no ToolchainError.

    Rejections are looked into again, so that the answer holds now; successes are remembered.
    """
    prober = _Prober(layout, console, trust_rejections=False)
    probes = tuple(map(prober.probe, rank(prober.candidates(requested))))
    allowed = {candidate.cc for candidate in rank((probe.candidate for probe in probes), requested)}
    eligible = [probe for probe in probes if probe.candidate.cc in allowed]
    chosen = first_working(eligible)
    if chosen is None:
        return Survey(probes=probes, requested=requested, chosen=None, why="")
    return Survey(probes=probes, requested=requested, chosen=chosen.toolchain, why=reason(chosen, eligible, requested))


class _Prober:
    """Answers from memory where it can, and asks the compilers where it must."""

    def __init__(self, layout: Layout, console: Console, *, trust_rejections: bool = True) -> None:
        self._places = places(os.environ)
        self._layout = layout
        self._console = console
        self._trust_rejections = trust_rejections
        self._cache = ProbeCache(layout.probes)

    def candidates(self, requested: str | None) -> tuple[Candidate, ...]:
        """Return every compiler of the machine, and the one that ``requested`` names by path or file name."""
        found = {each.cc.resolve(): each for each in find_compilers(self._places)}
        if requested and (named := locate(requested, self._places)):
            found.setdefault(named.cc.resolve(), named)
        answers = (self._identify(each) for each in found.values())
        return tuple(candidate for candidate in answers if candidate is not None)

    def _identify(self, found: Found) -> Candidate | None:
        known = self._cache.recall("identity", found.cc, Candidate)
        if known is None:
            known = identify(found)
            if known is not None:
                self._cache.remember("identity", found.cc, known, [found.cc])
        # The C++ compiler may have come or gone since, and PATH may be another.
        return None if known is None else replace(known, cxx=found.cxx, in_path=found.in_path)

    def probe(self, candidate: Candidate) -> Probe:
        """Return what the canary pair shows of a candidate."""
        known = self._cache.recall("probe", candidate.cc, Probe)
        if known and known.candidate == candidate and (self._trust_rejections or known.toolchain):
            return replace(known, candidate=candidate)
        # Loaded here: a run that only looks into its memory pays neither for it nor for what it imports.
        from python_tsan.toolchain.probe import probe  # noqa: PLC0415

        self._console.note(f"trying {candidate.name}: compiling and running the canary pair")
        made = probe(candidate, self._places.folders, self._layout)
        if made.toolchain is not None or made.rejection in SETTLED:
            self._cache.remember("probe", candidate.cc, made, self._watched(made))
        return made

    def _watched(self, probe: Probe) -> Iterator[Path]:
        from python_tsan.toolchain.probe import SOURCES  # noqa: PLC0415 -- as above
        from python_tsan.toolchain.runtime import runtime_folders  # noqa: PLC0415 -- as above

        candidate = probe.candidate
        yield from SOURCES
        yield candidate.cc
        if candidate.cxx:
            yield candidate.cxx
        if probe.toolchain is None:
            # Installing what is missing changes one of these folders.
            yield from (candidate.cc.resolve().parent, *self._places.folders, *runtime_folders(candidate))
            return
        yield probe.toolchain.runtime
        if probe.toolchain.symbolizer:
            yield probe.toolchain.symbolizer
        if probe.toolchain.linker is None:
            # A faster linker is used from the moment that it is there.
            yield from (folder / "ld.lld" for folder in (candidate.cc.resolve().parent, *self._places.folders))
