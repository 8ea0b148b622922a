"""Define what a recorder saw of threads and locks in one process. Standard library only, no I/O.

All numbers (``id``) count from 0 within one trace and are never used twice: a lock at an address where another was
destroyed is a new lock, and so is a thread that got the number of one that ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from python_tsan.result.finding import PythonFrame  # noqa: TC001 -- the annotations stay readable at run time
from python_tsan.tsan.finding import Frame  # noqa: TC001 -- so too


class LockKind(Enum):
    """What is held and waited for. A thread holds its own THREAD from start to end; a join requests it."""

    GIL = "GIL"  # of one interpreter, or of several that share it
    ATTACHED = "attached thread state"  # free-threaded: held by each attached thread, requested to attach
    MUTEX = "mutex"
    RWLOCK = "rwlock"
    SPIN = "spin lock"
    ONCE = "once"  # held by the thread that runs the function of call_once or pthread_once
    GUARD = "static guard"  # held while a static variable in a function is initialised
    CONDITION = "condition"
    FUTEX = "futex"  # waits of std::future, std::latch and the like, which no other kind describes
    SEMAPHORE = "semaphore"
    THREAD = "thread"
    MODULE = "module lock"
    IMPORT = "import lock"
    FILE = "file lock"  # by flock
    STREAM = "stream lock"  # of a FILE, by flockfile
    PYTHREAD = "PyThread lock"  # of PyThread_allocate_lock; one that others than its holder release is a SEMAPHORE
    BARRIER = "barrier"
    PYTHON = "Python lock"  # threading.Lock and RLock
    PYMUTEX = "PyMutex"  # of critical sections too

    @property
    def is_attachment(self) -> bool:
        """Whether to hold it is to have an attached thread state."""
        return self in {LockKind.GIL, LockKind.ATTACHED}

    @property
    def detaches(self) -> bool:
        """Whether CPython detaches the thread state while it waits for such a lock."""
        return self in {LockKind.MODULE, LockKind.IMPORT, LockKind.PYTHON, LockKind.PYMUTEX}

    @property
    def is_signal(self) -> bool:
        """Whether nobody holds it: a waiter goes on when another thread wakes it."""
        return self in {LockKind.CONDITION, LockKind.FUTEX, LockKind.SEMAPHORE, LockKind.BARRIER}


class Mode(Enum):
    """How a lock is taken. Two readers do not exclude each other."""

    READ = "read"
    WRITE = "write"


class Strength(Enum):
    """Whether a request was made, or only may be made by a call that was seen."""

    STRONG = "seen"
    WEAK = "may happen"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStack:
    """Where a thread was, innermost frame first. A native frame has at least ``module`` and ``offset``.

    ``offset`` is a return address minus the module's load base. Both parts are empty where nothing was recorded; one
    native frame alone is a call site.
    """

    native: tuple[Frame, ...] = ()
    python: tuple[PythonFrame, ...] = ()


UNKNOWN_PLACE = CallStack()


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedThread:
    """One thread of the process. ``parent`` created it, None for the first and for one that was not seen starting.

    ``last_way`` are the locks that it took from its last wait for a signal, or its start, to its end: what it had to
    have before it could end. None if it has not ended, or if that is not known.
    """

    id: int
    tid: int
    parent: int | None = None
    name: str = ""
    stack: CallStack = UNKNOWN_PLACE  # where it was created
    last_way: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedLock:
    """One lock during its life. ``name`` is its symbol, member or Python name, empty where none is known.

    ``module`` and ``offset`` place a lock with static storage; ``created`` is where any other was created, or first
    used where its creation is no call (``std::mutex``). ``thread`` is the one that a THREAD stands for; for its end, or
    for a condition, Python code may wait ``by_python``: by a lock. A reader of one that ``waits_for_writers`` waits for
    other readers as soon as a writer waits for them.
    """

    id: int
    kind: LockKind
    name: str = ""
    address: int = 0
    module: str = ""
    offset: int | None = None
    created: CallStack = UNKNOWN_PLACE
    thread: int | None = None
    recursive: bool = False
    by_python: bool = False
    waits_for_writers: bool = False

    @property
    def detaches(self) -> bool:
        """Whether CPython detaches the thread state while a thread waits for it."""
        return self.kind.detaches or self.by_python


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A lock that a thread holds, and where it took it; by a try, too."""

    lock: int
    mode: Mode = Mode.WRITE
    stack: CallStack = UNKNOWN_PLACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A thread asks for ``lock`` while it holds ``holding``, in the order in which it took them.

    It is recorded before the lock is acquired, each distinct one once with its ``count``. What cannot block is no
    request: a try, a lock that this thread holds already. A weak one may be for a lock that it holds: the call may
    release it and ask again. A wait for a condition is two: one for the condition, without its mutex in ``holding``,
    and one for the mutex again. ``segment`` is the part of the thread's life, see ``Order``.
    """

    thread: int
    segment: int
    holding: tuple[Holding, ...]
    lock: int
    mode: Mode = Mode.WRITE
    stack: CallStack = UNKNOWN_PLACE
    strength: Strength = Strength.STRONG
    timed: bool = False  # the wait has an end of its own
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A thread wakes those that wait for ``lock`` (signal, post, a futex's wake).

    ``needed`` are the locks that it took on its way here, since it started or last waited for a signal itself: a thread
    that waits for ``lock`` and holds one of them waits for ever.
    """

    thread: int
    segment: int
    lock: int
    needed: tuple[Holding, ...] = ()
    stack: CallStack = UNKNOWN_PLACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All of segment ``before`` happened before all of segment ``after``, by a thread's creation or its join.

    Two segments of one thread need no such entry: their numbers grow with time.
    """

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitUnderGil:
    """Waits of one call site that were made with the GIL held. Times are in nanoseconds.

    ``callee`` is the function that waited (``pthread_mutex_lock``); ``others`` is the most threads that requested the
    GIL meanwhile.
    """

    callee: str
    stack: CallStack = UNKNOWN_PLACE
    lock: int | None = None
    count: int = 1
    total: int = 0
    longest: int = 0
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One of these waits, by the number of its call site; the thread began it at a monotonic time.

    ``length`` and ``begun`` are in nanoseconds; ``others`` as there.
    """

    wait: int
    thread: int
    begun: int
    length: int
    others: int = 0


class Rule(Enum):
    """A rule of the C API's contract that a thread broke."""

    NOT_INITIALIZED = "called before Python was initialized"
    AFTER_FINALIZATION = "called after Python was finalized"
    NO_THREAD_STATE = "called without an attached thread state"
    GIL_NOT_HELD = "called without the GIL"
    ENDED_ATTACHED = "a thread ended while it held the GIL"
    NEVER_RELEASED = "a thread ended without the release of what it ensured"
    NEVER_DELETED = "a thread state is left although its thread has ended"
    ATTACHED_TWICE = "a thread state was attached by a thread that has one"
    UNMATCHED_RELEASE = "a release without what it should undo"
    INTERPRETER_NEVER_ENDED = "a sub-interpreter is left"
    INSIDE_AT_FINALIZATION = "a thread was inside Python when it was finalized"
    OTHER_INTERPRETER = "called with an object of another interpreter"
    ERROR_SET = "called with an exception set"
    ERROR_LOST = "the thread state went with its exception"
    BORROWED_KEPT = "a borrowed reference was kept over a release of the GIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable with static storage at ``offset`` of a loaded object; ``of_thread``: of its part for each thread."""

    module: str
    offset: int
    of_thread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Misuse:
    """Calls of one place that broke the C API's contract.

    ``function`` was called, or is what the thread should have undone before it ended. ``last`` is the function by which
    the thread last changed its thread state, with its call site; empty where it never did. It is the function that
    returned a borrowed reference, where that is what was kept.
    """

    rule: Rule
    function: str
    thread: int
    stack: CallStack = UNKNOWN_PLACE
    last: str = ""
    last_place: CallStack = UNKNOWN_PLACE
    count: int = 1
    variable: Variable | None = None  # that refers to the object which was passed


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveThread:
    """What a thread held, and what it waited for, when the recording ended.

    ``since`` is the monotonic time at which the wait began, in nanoseconds, if the GIL was held; 0 if it was not.
    """

    thread: int
    holding: tuple[Holding, ...] = ()
    wants: int | None = None
    mode: Mode = Mode.WRITE
    stack: CallStack = UNKNOWN_PLACE  # of the request
    callee: str = ""
    since: int = 0


class GilSight(Enum):
    """Whether the recorder knew which thread held the GIL."""

    RECOGNISED = "recognised"
    FREE_THREADED = "free-threaded, attached thread states were followed"
    NO_PYTHON = "no Python was initialised"
    NOT_RECOGNISED = "not recognised"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTrace:
    """All that was recorded in one process.

    ``segments`` has the thread of each segment by number. ``live`` are the threads that existed at the end.
    ``not_seen`` counts by a few words what the recorder could not follow ("locks beyond the limit", "a fork in a
    process with threads"); ``truncated`` says that the recording has no end, as after a crash.
    """

    pid: int
    command: str = ""
    gil: GilSight
    threads: tuple[TracedThread, ...] = ()
    locks: tuple[TracedLock, ...] = ()
    segments: tuple[int, ...] = ()
    orders: tuple[Order, ...] = ()
    requests: tuple[Request, ...] = ()
    wakes: tuple[Wake, ...] = ()
    waits: tuple[WaitUnderGil, ...] = ()
    moments: tuple[Moment, ...] = ()
    misuses: tuple[Misuse, ...] = ()
    checks_calls: bool = False  # whether calls of the C API were looked at
    calls_not_seen: dict[str, int] = field(default_factory=dict)
    live: tuple[LiveThread, ...] = ()
    not_seen: dict[str, int] = field(default_factory=dict)
    events: int = 0
    truncated: bool = False
