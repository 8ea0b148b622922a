"""Define the steps of a thread in the model: where it can be stopped, where it blocks, how it fails.

Who takes which lock is left to ``import_system``. Pure, no I/O.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from python_tsan.imports.model.requests import ImportRequest


# The global import lock, as the name of a lock. No module can be called so.
GLOBAL = "<import lock>"


class Phase(Enum):
    """How far a module is: CREATING is not in ``sys.modules`` yet, EXECUTING is, and its body runs.

    Two are places, not states: at ASKING a statement has found the module absent and has not requested its lock yet; at
    FINDING the lock is owned, and the global import lock not yet.
    """

    ABSENT = auto()
    ASKING = auto()
    FINDING = auto()
    CREATING = auto()
    EXECUTING = auto()
    DONE = auto()

    # Each member is one object. Its name's hash, which an enum would take, is the slowest part of a large search.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place where a thread can be stopped: it has begun this phase, and owns the module's lock from FINDING on."""

    phase: Phase
    module: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A thread sleeps on the lock of ``module``."""

    module: str


Step: TypeAlias = Generator[Point | Waiting, None, None]
# What is yielded may be steps in turn, so that a chain of imports is as deep as it likes and each step costs the same.
Nested: TypeAlias = Generator["Point | Waiting | Nested", None, None]


def unnest(steps: Nested) -> Step:
    """Yield the points and waits of nested steps in order. A deadlock passes outwards through them as an error does."""
    stack = [steps]
    error: Deadlock | None = None
    while stack:
        try:
            item = next(stack[-1]) if error is None else stack[-1].throw(error)
        except StopIteration:
            stack.pop()
        except Deadlock as deadlock:
            stack.pop()
            error = deadlock
        else:
            if isinstance(item, (Point, Waiting)):
                yield item
            else:
                stack.append(item)
    if error is not None:
        raise error


class Deadlock(Exception):  # noqa: N818 -- control flow of the model, as _DeadlockError is in CPython
    """The thread closed a cycle of module locks where CPython raises ``_DeadlockError``."""

    def __init__(self, module: str) -> None:
        super().__init__(module)
        self.module = module


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """A partial module was handed out to end a cycle: ``owner`` was executing ``module`` when it was requested.

    ``stack`` is what the thread that asked was loading then.
    """

    module: str
    owner: str
    request: ImportRequest | None
    stack: tuple[tuple[str, ImportRequest | None], ...]
