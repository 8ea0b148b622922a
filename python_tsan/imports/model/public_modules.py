"""List the modules of an installed distribution that are entry points: public ones, shallowest first, up to a limit."""

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
    """The modules of one distribution; ``left_out`` more are beyond the limit, ``problem`` says why it is empty."""

    distribution: str
    modules: tuple[str, ...]
    left_out: int
    problem: str


def public_modules(probe: Probe, distributions: Sequence[str], *, limit: int) -> tuple[PublicModules, ...]:
    """Ask the interpreter for at most ``limit`` modules of each. Raises SubjectError if it cannot answer."""
    answers = probe.list_modules(distributions, limit=limit)
    return tuple(
        PublicModules(
            distribution=name,
            modules=tuple(answer["modules"]),
            left_out=answer["public"] - len(answer["modules"]),
            problem=answer["error"],
        )
        for name, answer in answers.items()
    )
