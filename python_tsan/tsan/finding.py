"""Define the parts of one finding: mostly a parsed ThreadSanitizer block. No I/O."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Kind(Enum):
    """The sixteen kinds of the runtime, spelled as ``ReportTypeString`` in ``tsan_report.cpp`` has them, and more."""

    RACE = "data race"
    VPTR_RACE = "data race on vptr (ctor/dtor vs virtual call)"
    USE_AFTER_FREE = "heap-use-after-free"
    VPTR_USE_AFTER_FREE = "heap-use-after-free (virtual call vs free)"
    EXTERNAL_RACE = "race on external object"
    THREAD_LEAK = "thread leak"
    MUTEX_DESTROY_LOCKED = "destroy of a locked mutex"
    MUTEX_DOUBLE_LOCK = "double lock of a mutex"
    MUTEX_INVALID_ACCESS = "use of an invalid mutex (e.g. uninitialized or destroyed)"
    MUTEX_BAD_UNLOCK = "unlock of an unlocked mutex (or by a wrong thread)"
    MUTEX_BAD_READ_LOCK = "read lock of a write locked mutex"
    MUTEX_BAD_READ_UNLOCK = "read unlock of a write locked mutex"
    SIGNAL_UNSAFE = "signal-unsafe call inside of a signal"
    ERRNO_IN_SIGNAL = "signal handler spoils errno"
    DEADLOCK = "lock-order-inversion (potential deadlock)"
    MUTEX_HELD_WRONG_CONTEXT = "mutex held in the wrong context"
    # Not of the runtime: a cycle in the graph of locks that was recorded, the GIL among them.
    POSSIBLE_DEADLOCK = "possible deadlock"
    # Not of the runtime: calls that break the contract of Python's C API.
    API_NOT_ATTACHED = "Python C API called without the GIL"
    API_NOT_INITIALIZED = "Python C API called before Python is initialized"
    API_AFTER_FINALIZATION = "Python C API called after Python is finalized"
    THREAD_ENDED_ATTACHED = "thread ended with the GIL"
    NEVER_RELEASED = "PyGILState_Ensure without PyGILState_Release"
    NEVER_DELETED = "PyThreadState_New without PyThreadState_Delete"
    ATTACHED_TWICE = "thread state attached twice"
    UNMATCHED_RELEASE = "PyGILState_Release without PyGILState_Ensure"
    NEVER_ENDED = "Py_NewInterpreter without Py_EndInterpreter"
    INSIDE_AT_FINALIZATION = "thread inside Python at its finalization"
    OTHER_INTERPRETER = "Python object of another interpreter"
    EXCEPTION_SET = "Python C API called with an exception set"
    EXCEPTION_LOST = "exception lost with its thread state"
    # Not of the runtime: a heading that none of the above spells. Such a block is kept, never guessed at.
    UNRECOGNISED = "unrecognised"

    @property
    def is_recorded(self) -> bool:
        """Whether it comes from the preloaded recorder, and not from the runtime's logs."""
        return bool(self.rule)

    @property
    def rule(self) -> str:
        """The id of the rule that such a finding breaks; empty for what the runtime finds."""
        return _IDS.get(self, "")


# The rules that the recorder judges, by their ids, which never change.
RULES = {
    "possible-deadlock": Kind.POSSIBLE_DEADLOCK,
    "c-api-without-gil": Kind.API_NOT_ATTACHED,
    "c-api-before-initialization": Kind.API_NOT_INITIALIZED,
    "c-api-after-finalization": Kind.API_AFTER_FINALIZATION,
    "thread-ended-with-gil": Kind.THREAD_ENDED_ATTACHED,
    "gil-state-never-released": Kind.NEVER_RELEASED,
    "thread-state-never-deleted": Kind.NEVER_DELETED,
    "thread-state-attached-twice": Kind.ATTACHED_TWICE,
    "gil-state-release-unmatched": Kind.UNMATCHED_RELEASE,
    "interpreter-never-ended": Kind.NEVER_ENDED,
    "thread-inside-at-finalization": Kind.INSIDE_AT_FINALIZATION,
    "object-of-another-interpreter": Kind.OTHER_INTERPRETER,
    "called-with-exception-set": Kind.EXCEPTION_SET,
    "exception-lost": Kind.EXCEPTION_LOST,
}
_IDS = {kind: name for name, kind in RULES.items()}


class Dialect(Enum):
    """Which printer wrote the block: the C and C++ one, or Go's."""

    CXX = "c++"
    GO = "go"


class Operation(Enum):
    """What an access did to the memory."""

    READ = "read"
    WRITE = "write"


class LocationKind(Enum):
    """What the memory is, as far as the runtime knows."""

    GLOBAL = "global"
    HEAP = "heap block"
    STACK = "stack"
    TLS = "TLS"
    FILE_DESCRIPTOR = "file descriptor"
    EXTERNAL = "external object"


class ThreadStatus(Enum):
    """Whether a thread still ran when the block was printed."""

    RUNNING = "running"
    FINISHED = "finished"


class Frame(Struct, frozen=True, kw_only=True):
    """One frame of a stack. What the runtime printed as ``<null>`` or left out is an empty string, 0 or None.

    ``line`` and ``column`` count from 1, 0 is unknown. ``offset`` is the byte offset in ``module``. ``marked`` is
    the ``*`` that newer runtimes put before the frames they hold guilty. ``python`` marks a frame of Python code.
    """

    index: int
    symbol: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    module: str = ""
    offset: int | None = None
    build_id: str = ""
    marked: bool = False
    python: bool = False


class Stack(Struct, frozen=True, kw_only=True):
    """Frames from the innermost out.

    ``restored`` is False for ``[failed to restore the stack]`` and for a stack that was cut off before its first
    frame; ``caption`` is the line that introduces a stack with no part of its own.
    """

    frames: tuple[Frame, ...] = ()
    restored: bool = True
    caption: str = ""


UNRESTORED = Stack(restored=False)


class HeldMutex(Struct, frozen=True, kw_only=True):
    """A mutex held at an access, by its number in this block; ``write`` is False for a reader's lock."""

    id: int
    write: bool


class Access(Struct, frozen=True, kw_only=True):
    """One of the memory accesses of a race. ``size`` is in bytes, None where the printer gives none (Go, external).

    ``thread`` is the number in this block, 0 for the main thread (Go's main goroutine also has ``main_thread``).
    ``object_type`` names the foreign object of an external race and is empty otherwise.
    """

    operation: Operation
    atomic: bool
    size: int | None
    address: int
    thread: int
    main_thread: bool
    mutexes: tuple[HeldMutex, ...] = ()
    previous: bool = False
    object_type: str = ""
    stack: Stack = UNRESTORED

    @property
    def side(self) -> str:
        """The access in words: ``read``, ``write``, ``atomic read`` or ``atomic write``."""
        return f"atomic {self.operation.value}" if self.atomic else self.operation.value


class Location(Struct, frozen=True, kw_only=True):
    """The memory that the accesses touch. ``text`` is the printed line; the other fields are as far as it goes.

    ``size`` is in bytes. ``thread`` is the owner of a stack or TLS, the allocator of a heap block, or the creator of
    a descriptor. ``module`` and ``offset`` place a global in its shared object; ``file`` and ``line`` are Go's.
    """

    kind: LocationKind
    text: str
    name: str = ""
    size: int | None = None
    address: int | None = None
    module: str = ""
    offset: int | None = None
    file: str = ""
    line: int = 0
    thread: int | None = None
    main_thread: bool = False
    descriptor: int | None = None
    closed: bool = False
    stack: Stack | None = None


class Mutex(Struct, frozen=True, kw_only=True):
    """A mutex named in the block. ``stack`` is where it was created, None when the block does not say.

    ``address`` is None for a mutex that older runtimes only call already destroyed. ``kind`` ("GIL", "rwlock") and
    ``name`` are known of locks that were recorded, not of those that the runtime reports.
    """

    id: int
    address: int | None = None
    destroyed: bool = False
    stack: Stack | None = None
    kind: str = ""
    name: str = ""


class Thread(Struct, frozen=True, kw_only=True):
    """A thread (or goroutine) named in the block. ``tid`` is the system's number, None where it is not printed.

    ``parent`` is the creating thread's number in this block, None if not printed; ``worker`` marks Apple's GCD
    threads, which nobody created.
    """

    id: int
    name: str
    tid: int | None
    status: ThreadStatus
    parent: int | None = None
    parent_main: bool = False
    worker: bool = False
    stack: Stack | None = None


class Acquisition(Struct, frozen=True, kw_only=True):
    """One edge of a lock-order cycle: ``mutex`` was taken by ``thread`` while it held ``holding``.

    ``stack`` is where ``mutex`` was taken; ``holding_stack`` is where ``holding`` was taken, which the runtime prints
    under ``second_deadlock_stack=1`` only. Of a lock that was recorded, ``call`` is the function that asked for it, as
    far as it is no frame of ``stack``, ``write`` is False for a reader's lock, and ``weak`` says that the lock was not
    asked for, but may be.
    """

    mutex: int
    holding: int
    thread: int | None
    main_thread: bool
    stack: Stack = UNRESTORED
    holding_stack: Stack | None = None
    call: str = ""
    write: bool = True
    weak: bool = False


class Source(Struct, frozen=True, kw_only=True):
    """Where a block stands: the log's name and its first and last line, counted from 1."""

    file: str
    first_line: int
    last_line: int


class Finding(Struct, frozen=True, kw_only=True):
    """One ThreadSanitizer block, or what another detector found, in the same parts.

    ``title`` is the heading as printed (it differs from ``kind.value`` for external races that bring their own
    words and for kinds not known here), ``pid`` None for Go. ``stacks`` are those that belong to no other part, in
    printed order. ``cycle`` lists the mutexes of a lock-order inversion once each, ``acquisitions`` its edges.
    ``leaked_threads`` counts the threads of a thread leak, 0 otherwise. ``sleep`` is the stack under ``As if
    synchronized via sleep``. ``notes`` are the runtime's own asides. ``unparsed`` are lines inside the block that
    are no part of it (program output, mostly), ``raw`` is the block as it stood in the log, ``truncated`` says that
    it has no end.
    """

    kind: Kind
    title: str
    pid: int | None
    source: Source
    raw: str
    dialect: Dialect = Dialect.CXX
    accesses: tuple[Access, ...] = ()
    stacks: tuple[Stack, ...] = ()
    locations: tuple[Location, ...] = ()
    mutexes: tuple[Mutex, ...] = ()
    threads: tuple[Thread, ...] = ()
    cycle: tuple[int, ...] = ()
    acquisitions: tuple[Acquisition, ...] = ()
    sleep: Stack | None = None
    signal: int | None = None
    leaked_threads: int = 0
    summary: str = ""
    notes: tuple[str, ...] = ()
    unparsed: tuple[str, ...] = ()
    truncated: bool = False

    @property
    def location(self) -> Location | None:
        """The first location, or None: the runtime prints more than one in rare cases only."""
        return self.locations[0] if self.locations else None


class FatalKind(Enum):
    """Fatal errors of the runtime, by the first line of each."""

    FATAL = "FATAL"
    CHECK = "CHECK failed"
    SIGNAL = "DEADLYSIGNAL"


class Fatal(Struct, frozen=True, kw_only=True):
    """The end of a process by its runtime: not a finding, and never to be read as one.

    ``message`` is the line that names the error, ``stack`` the frames below it, if any.
    """

    kind: FatalKind
    message: str
    pid: int | None
    source: Source
    raw: str
    stack: Stack | None = None
