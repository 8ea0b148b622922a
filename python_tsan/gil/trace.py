"""Define a GIL trace in memory; leave files to :mod:`.codec` and meaning to :mod:`.analysis`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from python_tsan.result.model import GilWait  # noqa: TC001 -- as below
from python_tsan.symbols import Site  # noqa: TC001 -- msgspec resolves the annotations at run time


class GilCall(IntEnum):
    """Which of CPython's functions released or acquired the GIL; numbered as in ``format.hpp``.

    ``INTERNAL`` is without a call: the eval breaker forced the thread to release it, or the thread ended.
    """

    NONE = 0
    SAVE_RESTORE = 1
    ACQUIRE_RELEASE = 2
    GIL_STATE = 3
    SWAP = 4
    DELETED = 5
    INTERNAL = 6


class Event(NamedTuple):
    """One release and the acquisition that followed it in the same thread.

    Times are monotonic, in nanoseconds, and 0 if absent: a thread's first acquisition follows no release, and no
    acquisition follows its last release. ``site`` and ``node`` index the process's tables; ``thread`` is an ordinal.
    """

    released: int
    requested: int
    acquired: int
    site: int
    node: int
    thread: int
    release_call: int
    acquire_call: int

    @property
    def time(self) -> int:
        """The time of the release, else of the acquisition."""
        return self.released or self.acquired


class Node(NamedTuple):
    """A Python frame and its caller's node; node 0 is no frame.

    ``imports`` names the module that the frame imports, ``body`` the module whose body it is; mostly both are empty.
    """

    parent: int
    file: str
    function: str
    line: int
    body: str
    imports: str


class HeldWait(NamedTuple):
    """One wait that a thread made with the GIL held. Times as in :class:`Event`, ``length`` of that kind.

    ``wait`` indexes the process's table of waits; ``others`` threads waited for the GIL at its end.
    """

    start: int
    length: int
    thread: int
    wait: int
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A thread of a traced process, with the kernel's number and name for it."""

    ordinal: int
    tid: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A traced process without its events. Times are in nanoseconds.

    ``dropped`` old events were overwritten by new ones, ``lost`` events did not fit, ``lost_stacks`` have no stack
    because it did not fit. ``sees_internal``: forced switches were seen.
    """

    pid: int
    parent: int
    executable: str
    python: str
    free_threaded: bool
    sees_internal: bool
    started: int
    started_unix: int
    dropped: int = 0
    lost: int = 0
    lost_stacks: int = 0
    threads: tuple[Thread, ...] = ()

    @property
    def release(self) -> tuple[int, ...]:
        """The first two numbers of the version, empty if it is unknown."""
        return tuple(int(part) for part in self.python.split(".")[:2] if part)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A traced process with its events in order of time.

    ``waits`` are its waits with the GIL held by call, ``held_waits`` those that are long enough to be drawn.
    """

    record: ProcessRecord
    sites: tuple[Site, ...] = ()
    nodes: tuple[Node, ...] = ()
    events: tuple[Event, ...] = ()
    waits: tuple[GilWait, ...] = ()
    held_waits: tuple[HeldWait, ...] = ()

    @cached_property
    def _stacks(self) -> dict[int, tuple[Node, ...]]:
        return {}

    def stack(self, node: int) -> tuple[Node, ...]:
        """Return the Python frames of a node, innermost first; empty without any or if they are unknown."""
        found = self._stacks.get(node)
        if found is None:
            frames = []
            at = node
            while 0 < at < len(self.nodes):
                frames.append(self.nodes[at])
                at = self.nodes[at].parent if self.nodes[at].parent < at else 0
            found = self._stacks[node] = tuple(frames)
        return found

    def thread_name(self, ordinal: int) -> str:
        """Return how to show a thread: ``main``, or its ordinal and the kernel's name for it."""
        thread = next((thread for thread in self.record.threads if thread.ordinal == ordinal), None)
        if thread is None:
            return f"thread {ordinal}"
        return "main" if thread.tid == self.record.pid else f"thread {ordinal} ({thread.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Untraced:
    """A process that was not traced, and why. ``program`` is its path or, after a failure, the system's message."""

    pid: int
    reason: str
    program: str


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The record of one command. ``engine`` is the engine's name; ``truncated``: the file ended early."""

    engine: str
    command: tuple[str, ...]
    exit_code: int
    started_at: str
    processes: tuple[Process, ...] = ()
    untraced: tuple[Untraced, ...] = field(default=())
    truncated: bool = False
