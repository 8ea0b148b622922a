"""Find a program's own functions that take a lock for their callers: a wrapper of pthread_mutex_lock, a method. Pure.

Such a function has returned while its thread still holds the lock, so that a later stack of that thread is without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.locks.model import CallStack, LockTrace
    from python_tsan.tsan.finding import Frame

Address = tuple[str, int | None]
# So many pairs of stacks are compared: what a program has of such functions is known long before.
MOST_PAIRS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The function that has a lock, where it took it and where it went on, and the functions that took it for it."""

    served: tuple[Frame, ...]
    taking: Frame
    going_on: Frame


def lock_functions(trace: LockTrace) -> frozenset[Address]:
    """Return the return addresses in such functions."""
    return frozenset(address(frame) for holder in lock_holders(trace) for frame in holder.served)


def lock_holders(trace: LockTrace) -> tuple[Holder, ...]:
    """Return what is known of the functions that have locks."""
    stacks = {(id(taken), id(asked)): (taken, asked) for taken, asked in islice(_pairs(trace), MOST_PAIRS)}
    found = (_holder(taken.native, asked.native) for taken, asked in stacks.values())
    return tuple(holder for holder in found if holder)


def _pairs(trace: LockTrace) -> Iterator[tuple[CallStack, CallStack]]:
    """Yield where a lock was taken, and where its holder asked for another one."""
    for request in trace.requests:
        for held in request.holding:
            yield held.stack, request.stack
    for live in trace.live:
        for held in live.holding:
            yield held.stack, live.stack


def _holder(taken: Sequence[Frame], asked: Sequence[Frame]) -> Holder | None:
    """Return the function in which two stacks that go through the same calls begin to differ; None without one."""
    places = [address(frame) for frame in asked]
    if not taken or address(taken[-1]) not in places:
        return None
    inner = len(places) - 1 - places[::-1].index(address(taken[-1]))
    mine = len(taken) - 1
    while mine > 0 and inner > 0 and address(taken[mine - 1]) == places[inner - 1]:
        mine, inner = mine - 1, inner - 1
    if not mine or not inner:
        return None
    return Holder(served=tuple(taken[: mine - 1]), taking=taken[mine - 1], going_on=asked[inner - 1])


def address(frame: Frame) -> Address:
    """Return what identifies a call."""
    return frame.module, frame.offset


def makers(stacks: Iterable[CallStack]) -> frozenset[Address]:
    """Return the addresses in functions of a library that create locks for several callers outside of it."""
    callers: dict[Address, set[Address]] = {}
    for stack in stacks:
        own = [frame for frame in stack.native if frame.module == stack.native[0].module]
        outside = stack.native[len(own) :]
        if outside:
            for frame in own:
                callers.setdefault(address(frame), set()).add(address(outside[0]))
    return frozenset(place for place, of in callers.items() if len(of) > 1)
