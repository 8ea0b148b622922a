"""Choose the combinations that are worth a run. Pure, no I/O.

Every combination differs from another one in one respect alone (CPython, GIL, compiler or binding), for only then can
`compare` say what makes a difference. So they are a star: all share one CPython with the best compiler, its centre. All
combinations of everything would be many times the builds and would say little more.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from python_tsan.matrix.model import Combination, LeftOut, Plan
from python_tsan.version import free_threading_refusal, parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.binding import Binding
    from python_tsan.matrix.model import Available, Axes

_BOTH = (False, True)


def plan_matrix(available: Available, axes: Axes) -> Plan:
    """Return the combinations to run, oldest CPython first, and what is left out."""
    requested = tuple(dict.fromkeys(_every(available) if axes.whole else _star(available, axes.threading or _BOTH)))
    threading = axes.threading or _BOTH
    refused = {combination: refusal_of(combination) for combination in requested}
    kept = [each for each in requested if each.free_threaded in threading and not refused[each]]
    return Plan(
        combinations=tuple(sorted(kept, key=lambda each: _rank(each, available))),
        left_out=(*available.missing, *_left_out(available, threading, refused)),
    )


def refusal_of(combination: Combination) -> str:
    """Return why there can be no such build, or nothing."""
    if combination.free_threaded and (reason := free_threading_refusal(combination.python)):
        return reason
    return combination.binding.doubt_about(combination.python)


def _star(available: Available, threading: tuple[bool, ...]) -> Iterator[Combination]:
    if not (available.pythons and available.toolchains and available.bindings):
        return
    centre, best = _centre(available, threading), available.toolchains[0]
    for python, free in product(available.pythons, threading):
        yield _combination(python, best, _binding_for(python, available), free=free)
    for compiler, free in product(available.toolchains[1:], threading):
        yield _combination(centre, compiler, _binding_for(centre, available), free=free)
    for binding, free in product(available.bindings, threading):
        yield _combination(centre, best, binding, free=free)


def _every(available: Available) -> Iterator[Combination]:
    parts = product(available.pythons, _BOTH, available.toolchains, available.bindings)
    for python, free, compiler, binding in parts:
        yield _combination(python, compiler, binding, free=free)


def _combination(python: str, compiler: str, binding: Binding, *, free: bool) -> Combination:
    return Combination(python=python, free_threaded=free, toolchain=compiler, binding=binding)


def _centre(available: Available, threading: tuple[bool, ...]) -> str:
    """Return the CPython that supports the most bindings, in each of the builds requested; of several the newest.

    Two versions that have no binding in common can then be compared by way of it.
    """

    def bindings_and_version(python: str) -> tuple[object, ...]:
        counts = [
            sum(
                not refusal_of(_combination(python, available.toolchains[0], binding, free=free))
                for binding in available.bindings
            )
            for free in threading
        ]
        return counts, parse_version(python)

    return max(available.pythons, key=bindings_and_version)


def _binding_for(python: str, available: Available) -> Binding:
    """Return the binding that a CPython is combined with: the default one, else the first that supports it."""
    fitting = (binding for binding in available.bindings if not binding.doubt_about(python))
    return next(fitting, available.bindings[0])


def _rank(combination: Combination, available: Available) -> tuple[object, ...]:
    """Return the key by which combinations are sorted."""
    return (
        parse_version(combination.python),
        combination.free_threaded,
        available.toolchains.index(combination.toolchain),
        available.bindings.index(combination.binding),
    )


def _left_out(available: Available, threading: Iterable[bool], refused: dict[Combination, str]) -> Iterator[LeftOut]:
    named = {combination: reason for combination, reason in refused.items() if reason}
    for combination, reason in named.items():
        yield LeftOut(what=combination.name, reason=reason)
    if not available.toolchains:
        yield LeftOut(what="everything", reason="no compiler with a working ThreadSanitizer runtime; see doctor")
    if not any(threading):
        yield LeftOut(what="free-threaded builds", reason="not requested")
