"""Recognise findings that are probably false, as races inside code whose locks the runtime cannot see. Pure.

Code that is not instrumented is seen in the functions that the runtime intercepts, and in nothing else. If it locks
without them (futex system calls, inlined atomics), the runtime knows the accesses and not their order. Such code
leaves one frame on a stack, that of the caller of the intercepted function; what called it is not on the stack.
"""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import TYPE_CHECKING

from python_tsan.result.attribution import owner
from python_tsan.result.blind_spots import BlindSpot, module_name
from python_tsan.result.finding import Attribution
from python_tsan.tsan.finding import LocationKind
from python_tsan.tsan.frames import is_interceptor
from python_tsan.tsan.suppressions import HUBS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from python_tsan.tsan.finding import Access, Finding, Frame, Stack

_CXX_LIBRARIES = frozenset({"libstdc++.so", "libc++.so", "libc++abi.so"})
# free, operator delete(void*, unsigned long)
_FREE = re.compile(r"free$|operator delete\b")
_LIBRARIES = _CXX_LIBRARIES | {"libc.so", "libgcc_s.so"}


class _Side(Enum):
    HIDDEN = "hidden"  # uninstrumented code that is not on the stack, through the C++ library or at a thread's start
    BORROWED = "borrowed"  # by CPython's C-API on behalf of a blind library, such as a copy out of its buffer
    LOST = "lost"  # too long ago for the runtime to know its stack
    OTHER = "other"  # yours, instrumented, or not known


def construct_of(finding: Finding, constructs: Iterable[BlindSpot], recorded: Container[int] = ()) -> BlindSpot | None:
    """Return the construct that the finding is part of: its variable, or functions that make each of its accesses.

    ``recorded`` are the processes whose locks were recorded.
    """
    known = (
        spot for spot in constructs if finding.kind in spot.kinds and (finding.pid in recorded or not spot.recorded)
    )
    return next((spot for spot in known if _is_of(finding, spot)), None)


def _is_of(finding: Finding, spot: BlindSpot) -> bool:
    names = [place.name for place in finding.locations if place.kind is LocationKind.GLOBAL]
    if spot.variables and names:
        return all(any(fnmatchcase(name, pattern) for pattern in spot.variables) for name in names)
    if spot.taken:
        taken = [stack for edge in finding.acquisitions for stack in (edge.stack, edge.holding_stack)]
        return bool(taken) and all(_is_taken(stack, spot.taken) for stack in taken)
    if spot.started:
        starts = [thread.stack for thread in finding.threads if thread.stack]
        return bool(starts) and all(_is_started(stack, spot.started) for stack in starts)
    stacks = [access.stack for access in finding.accesses]
    return bool(spot.inside and stacks) and all(_is_inside(stack, spot.inside) for stack in stacks)


def _is_taken(stack: Stack | None, functions: Container[str]) -> bool:
    """Return whether one of these intercepted functions took the lock: not if the place is unknown."""
    first = stack.frames[0] if stack and stack.frames else None
    return bool(first and is_interceptor(first) and first.symbol in functions)


def _is_started(stack: Stack, functions: Container[str]) -> bool:
    first = next((frame for frame in stack.frames if not is_interceptor(frame)), None)
    return bool(first and first.symbol in functions and owner(first) is Attribution.LIBPYTHON)


def _is_inside(stack: Stack, patterns: Iterable[str]) -> bool:
    """Return whether one of these functions made the access, itself or through others of the standard library."""
    library = takewhile(lambda frame: is_interceptor(frame) or "std::" in frame.symbol.partition("(")[0], stack.frames)
    return any(fnmatchcase(frame.symbol, pattern) for frame in library for pattern in patterns)


def blind_spot_of(finding: Finding, blind: Mapping[str, BlindSpot]) -> BlindSpot | None:
    """Return the blind spot that explains a finding, None if one access may be the user's or is instrumented.

    ``blind`` are the loaded objects that are known, by name. At least one access must be inside them; the C-API's own
    accesses count as the library's only on memory that the library allocated or frees, and an access without a stack
    only on memory of an allocator inside the library. Of what is not about accesses, each stack must begin inside
    one of them; of a possible deadlock, each wait under the GIL.
    """
    if not finding.accesses:
        gils = {lock.id for lock in finding.mutexes if lock.kind == "GIL"}
        stacks = [edge.stack for edge in finding.acquisitions if edge.holding in gils] or finding.stacks
        begins = {blind.get(module_name(stack.frames[0].module)) if stack.frames else None for stack in stacks}
        spot = begins.pop() if len(begins) == 1 else None
        return spot if spot and finding.kind in spot.kinds else None
    sides = [_side(access, finding, blind) for access in finding.accesses]
    known = next((side for side in sides if isinstance(side, BlindSpot)), None)
    if known is None or _Side.OTHER in sides or finding.kind not in known.kinds:
        return None
    if _Side.LOST in sides and (finding.locations or not known.allocates):
        return None
    if _Side.BORROWED in sides and not _is_memory_of(finding, blind):
        return None
    return known


def _side(access: Access, finding: Finding, blind: Mapping[str, BlindSpot]) -> BlindSpot | _Side:
    if not access.stack.frames or not access.stack.restored:
        return _Side.LOST
    side = _maker(access.stack, blind)
    if side is not _Side.HIDDEN or any(_is_named(frame) for frame in access.stack.frames):
        return side
    # Nothing but library code: it belongs to the code that started the thread.
    made = next((thread.stack for thread in finding.threads if thread.id == access.thread), None)
    starter = _maker(made, blind) if made and not access.main_thread else _Side.HIDDEN
    return starter if isinstance(starter, BlindSpot) else _Side.HIDDEN


def _is_named(frame: Frame) -> bool:
    return not is_interceptor(frame) and owner(frame) is not Attribution.RUNTIME


def _maker(stack: Stack, blind: Mapping[str, BlindSpot]) -> BlindSpot | _Side:
    """Return who called the intercepted function, or the C-API, on a stack."""
    frames = list(stack.frames)
    if not frames:
        return _Side.OTHER
    # Under a program in C, operator new is the C++ library's own, and calls malloc.
    through = [frame for frame in frames if not is_interceptor(frame) or module_name(frame.module) in _CXX_LIBRARIES]
    # GCC's runtime may lose the interceptor's frame; then the first is of code that is not instrumented all the same.
    called = is_interceptor(frames[0]) or module_name(frames[0].module) in {*blind, *_LIBRARIES}
    rest = [frame for frame in through if module_name(frame.module) not in _LIBRARIES]
    if not rest:
        return _Side.HIDDEN if called else _Side.OTHER
    frame, in_library = rest[0], through[: through.index(rest[0])]
    if called and (spot := blind.get(module_name(frame.module))):
        return spot
    if owner(frame) is not Attribution.LIBPYTHON:
        return _Side.OTHER
    # CPython is written in C and never calls the C++ library.
    if called and any(module_name(each.module) in _CXX_LIBRARIES for each in in_library):
        return _Side.HIDDEN
    return _behind_c_api(rest, blind) if not in_library else _Side.OTHER


def _behind_c_api(frames: list[Frame], blind: Mapping[str, BlindSpot]) -> _Side:
    for frame in frames:
        if owner(frame) is Attribution.LIBPYTHON:
            if frame.symbol in HUBS:
                return _Side.OTHER
            continue
        return _Side.BORROWED if module_name(frame.module) in blind else _Side.OTHER
    return _Side.OTHER


def _is_memory_of(finding: Finding, blind: Mapping[str, BlindSpot]) -> bool:
    """Return whether the memory is the library's, or that of C++ code which is not instrumented nor on the stack."""
    frees = [each.stack for each in finding.accesses if each.stack.frames and _FREE.match(each.stack.frames[0].symbol)]
    heap = [each.stack for each in finding.locations if each.kind is LocationKind.HEAP and each.stack]
    makers = [_maker(stack, blind) for stack in (*heap, *frees)]
    return any(isinstance(maker, BlindSpot) or maker is _Side.HIDDEN for maker in makers)
