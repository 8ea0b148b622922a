"""One distinct finding: what its blocks have in common, whose code it is, and whether it is known. No I/O."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from python_tsan.tsan.finding import (  # noqa: TC001 -- msgspec resolves the annotations at run time
    Access,
    Acquisition,
    Dialect,
    Frame,
    Kind,
    Location,
    Mutex,
    Stack,
    Thread,
)


class Attribution(Enum):
    """Whose code made an access, by the first frame that is neither an interceptor nor plumbing."""

    YOURS = "yours"
    REACHED = "reached from yours"  # made by a library, on a stack that comes from your code
    EXTENSION = "extension"
    NUMPY = "numpy"
    LIBPYTHON = "libpython"
    RUNTIME = "runtime"  # the sanitizer, libc, the C++ library and the like
    UNKNOWN = "unknown"


class FindingStatus(Enum):
    """Whether a finding is known."""

    NEW = "new"
    KNOWN = "known"  # in the baseline, within its date
    EXPIRED = "expired"  # in the baseline, past its date
    EXPECTED = "expected"  # the subject is expected to show it
    SUPPRESSED = "suppressed"
    SET_ASIDE = "set aside"  # probably no race: its accesses are all in code whose locks the runtime cannot see

    @property
    def fails(self) -> bool:
        """Whether such a finding makes a result red."""
        return self in {FindingStatus.NEW, FindingStatus.EXPIRED}


class Occurrence(Struct, frozen=True, kw_only=True):
    """One block of a finding: the log's name and the block's first line, counted from 1."""

    file: str
    line: int


class Origin(Struct, frozen=True, kw_only=True):
    """Whose code one access (or lock, or call) is. ``frame`` is the frame that decided, None without a stack.

    ``yours`` is the innermost frame of your own, the same as ``frame`` if the access is yours.
    """

    attribution: Attribution
    frame: Frame | None = None
    yours: Frame | None = None


class PythonFrame(Struct, frozen=True, kw_only=True):
    """One Python frame; ``line`` counts from 1, 0 is unknown."""

    function: str
    file: str
    line: int = 0


class PythonStack(Struct, frozen=True, kw_only=True):
    """The Python frames, innermost first, of the thread that completed a finding, as its report hook saw them."""

    frames: tuple[PythonFrame, ...]
    thread: str = ""


class Directed(Enum):
    """What a run showed that was directed towards a possible deadlock."""

    HUNG = "hung"
    TOGETHER = "together"  # each thread was at its place at the same moment, and the run went on
    APART = "apart"  # each thread came to its place, but one only when the other was gone
    NOT_REACHED = "not reached"


class Confirmation(Enum):
    """What the directed runs of one finding say together."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    NOT_REACHED = "not reached"


class DirectedRuns(Struct, frozen=True, kw_only=True):
    """The runs that were directed towards one possible deadlock; ``outcomes`` in their order.

    ``hang`` says of the first one that hung who held and who waited for what, a line for each thread.
    """

    outcomes: tuple[Directed, ...]
    hang: tuple[str, ...] = ()

    @property
    def confirmation(self) -> Confirmation:
        """The best of them: one that hung is enough."""
        if Directed.HUNG in self.outcomes:
            return Confirmation.CONFIRMED
        reached = {Directed.TOGETHER, Directed.APART}
        return Confirmation.REFUTED if reached.intersection(self.outcomes) else Confirmation.NOT_REACHED


class DistinctFinding(Struct, frozen=True, kw_only=True):
    """One distinct finding. Parts that are spelled as in :class:`python_tsan.tsan.finding.Finding` mean the same.

    ``occurrences`` counts its blocks, ``sources`` says where each is; the parts are those of the first.
    ``attribution`` is the weightiest of ``origins``, which follow the accesses (or, without accesses, the acquisitions
    or stacks) one by one. ``reason``, ``link`` and ``expires`` (an ISO date) come from the entry of a
    baseline or of a suppression file. ``blind_spot`` names the entry of ``blind_spots.toml`` for which it is set aside.
    ``directed`` are the runs of ``--confirm``.
    """

    kind: Kind
    title: str
    fingerprint: str
    occurrences: int
    attribution: Attribution
    status: FindingStatus = FindingStatus.NEW
    origins: tuple[Origin, ...] = ()
    reason: str = ""
    link: str = ""
    expires: str = ""
    blind_spot: str = ""
    summary: str = ""
    dialect: Dialect
    pid: int | None = None
    accesses: tuple[Access, ...] = ()
    location: Location | None = None
    more_locations: tuple[Location, ...] = ()
    stacks: tuple[Stack, ...] = ()
    threads: tuple[Thread, ...] = ()
    mutexes: tuple[Mutex, ...] = ()
    cycle: tuple[int, ...] = ()
    acquisitions: tuple[Acquisition, ...] = ()
    sleep: Stack | None = None
    signal: int | None = None
    leaked_threads: int = 0
    python_stack: PythonStack | None = None
    notes: tuple[str, ...] = ()
    unparsed: tuple[str, ...] = ()
    truncated: bool = False
    sources: tuple[Occurrence, ...] = ()
    raw: str = ""
    directed: DirectedRuns | None = None

    @property
    def locations(self) -> tuple[Location, ...]:
        """All that is known of the memory, the best known first."""
        return (self.location, *self.more_locations) if self.location else ()
