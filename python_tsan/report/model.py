"""Own the report, the one thing that every rendering is made from; leave filling it to :mod:`.build`. No I/O.

Its JSON is published as ``docs/report-schema.json``. A field may be added under the same ``version``; one that is
renamed, removed or given another meaning raises it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from python_tsan.tsan.finding import (  # noqa: TC001 -- msgspec resolves the annotations at run time
    Access,
    Acquisition,
    Dialect,
    Fatal,
    Frame,
    Kind,
    Location,
    Mutex,
    Stack,
    Thread,
)

VERSION = 1


class Attribution(Enum):
    """Whose code made an access, told by the first frame that is neither an interceptor nor plumbing."""

    YOURS = "yours"
    REACHED = "reached from yours"  # made by a library, on a stack that comes from your code
    EXTENSION = "extension"
    NUMPY = "numpy"
    LIBPYTHON = "libpython"
    RUNTIME = "runtime"  # the sanitizer, libc, the C++ library and the like
    UNKNOWN = "unknown"


class FindingStatus(Enum):
    """How a finding stands against what is known."""

    NEW = "new"
    KNOWN = "known"  # in the baseline, within its date
    EXPIRED = "expired"  # in the baseline, past its date
    EXPECTED = "expected"  # the subject was said to show it
    SUPPRESSED = "suppressed"

    @property
    def fails(self) -> bool:
        """Whether such a finding makes a report red."""
        return self in {FindingStatus.NEW, FindingStatus.EXPIRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an occurrence stands: the log's name and the block's first line, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose code one access (or lock, or call) is. ``frame`` is the frame that decided, None without a stack.

    ``yours`` is the innermost frame of your own, the same as ``frame`` if the access is yours.
    """

    attribution: Attribution
    frame: Frame | None = None
    yours: Frame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFrame:
    """One Python frame; ``line`` counts from 1, 0 is unknown."""

    function: str
    file: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonStack:
    """The Python frames, innermost first, of the thread that completed a finding, as its report hook saw them."""

    frames: tuple[PythonFrame, ...]
    thread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFinding:
    """One distinct finding. Parts that are spelled as in :class:`python_tsan.tsan.finding.Finding` mean the same.

    ``occurrences`` counts its blocks, ``sources`` places each; the parts are those of the first. ``attribution`` is the
    weightiest of ``origins``, which follow the accesses (or, without accesses, the acquisitions or stacks) one by one.
    ``reason``, ``link`` and ``expires`` (an ISO date) come from the baseline's or the suppression's entry.
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
    sources: tuple[Place, ...] = ()
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unparsed:
    """Lines that speak of ThreadSanitizer, or stand inside a block, and are nothing known."""

    count: int = 0
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One file that was read. ``size`` is in bytes; ``problem`` says why it could not be read, or not to its end.

    ``blocks`` counts findings and last words in it, ``spoke`` says whether anything in it is the sanitizer's at all.
    """

    file: str
    size: int = 0
    blocks: int = 0
    spoke: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """``found`` of ``runs`` runs showed what was looked for, with Wilson's bounds at 95 %."""

    found: int
    runs: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The program that was run. ``exit_codes`` are those of each run, negative for a signal; seconds and bytes.

    ``stacks`` are files with every thread's stacks, saved when the deadline passed.
    """

    command: tuple[str, ...]
    exit_codes: tuple[int, ...]
    timed_out: bool = False
    seconds: float = 0.0
    max_rss_bytes: int = 0
    rate: Rate | None = None
    stacks: tuple[str, ...] = ()


class VerdictStatus(Enum):
    """The verdict in a word. COULD_NOT_JUDGE is never read as clean."""

    CLEAN = "clean"
    FINDINGS = "findings"
    COULD_NOT_JUDGE = "could not judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportVerdict:
    """What it all comes to. ``downgrades`` say, in whole sentences, what the verdict does not cover."""

    status: VerdictStatus
    reason: str
    downgrades: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObject:
    """One object that the process loaded; ``instrumented`` by its ELF symbols, None where they cannot be read."""

    path: str
    instrumented: bool | None
    build_id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionUse:
    """One suppression (``type:pattern``), how often it matched, and why it stands."""

    entry: str
    matched: int
    file: str = ""
    line: int = 0
    reason: str = ""


class BaselineState(Enum):
    """How an entry of the baseline fared."""

    SEEN = "seen"
    EXPIRED = "expired"
    GONE = "gone"  # did not occur in the runs that were said to be enough
    UNSEEN = "not seen"  # did not occur, in fewer runs than that


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEntry:
    """One known finding. ``expires`` is an ISO date, empty for never."""

    fingerprint: str
    state: BaselineState
    reason: str = ""
    link: str = ""
    expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineResult:
    """The baseline that findings were held against."""

    file: str
    entries: tuple[BaselineEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is needed to repeat a run, or to doubt it. ``started_at`` is ISO time in UTC.

    ``facts`` are further ones by name (kernel, libc, interpreter, toolchain and the like), ``environment`` the
    variables that differed from the caller's.
    """

    command: tuple[str, ...] = ()
    folder: str = ""
    started_at: str = ""
    tsan_options: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seeds: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a rendering may say. ``package`` is the version of python-tsan that made it.

    ``blocks`` counts the findings before they were merged, ``outside`` the lines that were no concern of ours. The
    sections that may be None are filled when a program was run, not when logs were read.
    """

    version: int = VERSION
    package: str = ""
    verdict: ReportVerdict
    findings: tuple[ReportFinding, ...] = ()
    fatal: tuple[Fatal, ...] = ()
    unparsed: Unparsed = Unparsed()
    blocks: int = 0
    outside: int = 0
    inputs: tuple[Input, ...] = ()
    subject: Subject | None = None
    audit: tuple[SharedObject, ...] | None = None
    suppressions: tuple[SuppressionUse, ...] | None = None
    baseline: BaselineResult | None = None
    provenance: Provenance | None = None

    @property
    def failing(self) -> tuple[ReportFinding, ...]:
        """The findings that make this report red."""
        return tuple(finding for finding in self.findings if finding.status.fails)
