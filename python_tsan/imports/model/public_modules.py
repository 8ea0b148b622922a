"""Own which modules of an installed distribution are entries: its public ones, the shallowest first, up to a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.imports.model.probe import Probe

# Pairs grow with its square; most distributions have fewer public modules down to the second level.
PUBLIC_MODULES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicModules:
    """What one distribution offers; ``left_out`` public modules are beyond the limit, ``problem`` says why none is."""

    distribution: str
    modules: tuple[str, ...]
    left_out: int
    problem: str


def public_modules(probe: Probe, distributions: Sequence[str], *, limit: int) -> tuple[PublicModules, ...]:
    """Ask the interpreter for at most ``limit`` modules of each. Raises SubjectError if it cannot answer."""
    told = probe.list_modules(distributions, limit=limit)
    return tuple(
        PublicModules(
            distribution=name,
            modules=tuple(answer["modules"]),
            left_out=answer["public"] - len(answer["modules"]),
            problem=answer["error"],
        )
        for name, answer in told.items()
    )
