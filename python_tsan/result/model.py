"""The result of one run: subjects, observations, findings, verdicts and where all of it comes from. No I/O.

Its JSON, ``run.json``, is published as ``docs/run-schema.json``; it has each distinct frame once, in a table, see
:mod:`.frame_table`. A field may be added under the same ``schema``; one that is renamed, removed or given another
meaning raises it.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 -- msgspec resolves the annotations at run time
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from python_tsan.errors import ExitCode
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.plain_text import counted
from python_tsan.result.finding import DistinctFinding  # noqa: TC001 -- so too
from python_tsan.result.shard import Shard  # noqa: TC001 -- so too
from python_tsan.tsan.finding import Fatal, Finding  # noqa: TC001 -- so too

SCHEMA = 3
RUN_FILE = "run.json"
# What `run` and `report` wrote before there was one document.
OLD_FILE = "report.json"
TSAN_EXIT_CODE = 66
CLEAN = Expectation(outcome=Outcome.CLEAN)


class ResultKind(Enum):
    """What a result is about."""

    CHECKS = "checks"  # of `verify` and `test-python`
    PROGRAM = "program"  # of `run` and the pytest plugin
    LOGS = "logs"  # of `report`


class Status(Enum):
    """A verdict in one word. COULD_NOT_JUDGE is never read as clean."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_JUDGE = "could not judge"
    SKIPPED = "skipped"


class Unparsed(Struct, frozen=True, kw_only=True):
    """Lines that mention ThreadSanitizer, or are inside a block, and that the parser does not know."""

    count: int = 0
    samples: tuple[str, ...] = ()


class KnownRace(Struct, frozen=True, kw_only=True):
    """A finding inside CPython itself, the suppression that would have hidden it, and where upstream describes it."""

    finding: Finding
    suppression: str
    reason: str


class GilWait(Struct, frozen=True, kw_only=True):
    """Waits of one call that were made with the GIL held. Times are in nanoseconds.

    ``callee`` is the function that waited, ``place`` where it was called, ``others`` the most threads that asked for
    the GIL meanwhile.
    """

    callee: str
    place: str
    count: int
    total: int
    longest: int
    others: int = 0


class KeptReference(Struct, frozen=True, kw_only=True):
    """A borrowed reference that was kept over a release of the GIL and used afterwards; advice, and no finding.

    ``function`` returned it at ``place``, ``used_by`` was called with it at ``used_at``. ``instead`` returns one that
    the caller owns.
    """

    function: str
    place: str
    used_by: str
    used_at: str
    instead: str
    count: int = 1


class Waiter(Struct, frozen=True, kw_only=True):
    """A thread of a wait-for graph: the locks that it holds, the one that it waits for, and who holds that.

    Threads and locks are names. ``stuck``: it is part of a cycle of waits, and cannot go on by itself.
    """

    thread: str
    holds: tuple[str, ...] = ()
    waits_for: str = ""
    held_by: tuple[str, ...] = ()
    stuck: bool = False


class Observation(Struct, frozen=True, kw_only=True):
    """The raw outcome of one process. ``exit_code`` is negative for a signal; sizes are in bytes, times in seconds.

    ``number`` counts the runs of one subject from 1. ``seen`` has the fingerprints of the findings; ``findings`` are
    the parsed blocks themselves, which a saved result holds merged, in its own ``findings``, and not here. ``report``
    is the JSON object that a harness scenario writes, ``logs`` the sanitizer's files, ``stacks`` the files with every
    thread's stack at the deadline, ``waits`` the wait-for graph that the subject noted by then. ``fatal`` are the last
    lines of a runtime that gave up, ``crashes`` those on a deadly signal of the subject, ``last_words`` the end of
    standard error of a subject that died by a signal. ``problem`` says why the logs prove nothing (the log folder is
    gone, the program could not be started). ``known`` are races of CPython itself that were set aside from
    ``findings``. ``disturbed`` says why an earlier run, which this one replaces, could not count.
    ``recent_cpu`` is the processor time that it needed in the last seconds before its deadline, and how many those are;
    ``stalled`` are the seconds for which nothing moved before it was ended for that. ``hang`` says of each thread what
    it then waited for or held, and where it was; ``wait_graph`` is the same by name, where it is known. ``gil_waits``
    are the waits with the GIL held that were recorded, ``kept_references`` the borrowed ones that were kept over a
    release of it. ``explained`` says what a death mostly is that the runtime brought about.
    """

    number: int = 1
    command: tuple[str, ...] = ()
    exit_code: int
    timed_out: bool
    deadline: float = 0.0
    recent_cpu: tuple[float, float] | None = None
    seconds: float
    max_rss_bytes: int = 0
    folder: Path = field(default_factory=Path)
    logs: tuple[Path, ...] = ()
    stacks: tuple[Path, ...] = ()
    waits: tuple[str, ...] = ()
    stalled: float = 0.0
    hang: tuple[str, ...] = ()
    wait_graph: tuple[Waiter, ...] = ()
    gil_waits: tuple[GilWait, ...] = ()
    kept_references: tuple[KeptReference, ...] = ()
    seen: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    known: tuple[KnownRace, ...] = ()
    fatal: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    last_words: str = ""
    unparsed: Unparsed = Unparsed()
    report: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    disturbed: str = ""
    explained: str = ""

    @property
    def found(self) -> bool:
        """Whether it showed a finding that was not set aside."""
        return bool(self.findings or self.seen)

    @property
    def own_exit_code(self) -> int:
        """The code as far as it is the subject's: the sanitizer's own, for known findings alone, is not."""
        for_known_alone = self.known and not self.found and self.exit_code == TSAN_EXIT_CODE
        return 0 if for_known_alone else self.exit_code


class Verdict(Struct, frozen=True, kw_only=True):
    """Observations of one subject judged against an expectation: ``met`` of ``runs`` did as expected.

    ``check`` names the check, and is empty where a program or logs are judged; so is ``lane``. ``seconds`` is the time
    that the observations took together. ``reason`` is empty only when every run did as expected and there is nothing
    more to say. ``downgrades`` say, in whole sentences, what the verdict does not cover.
    """

    check: str = ""
    lane: Lane | None = None
    status: Status
    reason: str = ""
    downgrades: tuple[str, ...] = ()
    expectation: Expectation = CLEAN
    met: int = 0
    runs: int = 0
    seconds: float = 0.0
    observations: tuple[Observation, ...] = ()


class VerdictStatus(Enum):
    """What a whole result comes to, in a word."""

    CLEAN = "clean"
    FINDINGS = "findings"
    COULD_NOT_JUDGE = "could not judge"


class Conclusion(Struct, frozen=True, kw_only=True):
    """What all verdicts of a result come to together."""

    status: VerdictStatus
    reason: str
    downgrades: tuple[str, ...] = ()


class Input(Struct, frozen=True, kw_only=True):
    """One file that was read. ``size`` is in bytes; ``problem`` says why it could not be read, or not to its end.

    ``blocks`` counts the findings and fatal messages in it, ``spoke`` says whether any line in it is the sanitizer's.
    """

    file: str
    size: int = 0
    blocks: int = 0
    spoke: bool = False
    problem: str = ""


class Rate(Struct, frozen=True, kw_only=True):
    """``found`` of ``runs`` runs showed what was looked for, with Wilson's bounds at 95 %."""

    found: int
    runs: int
    low: float
    high: float


class Subject(Struct, frozen=True, kw_only=True):
    """What was run: a program, or a scenario of the harness by its ``name``. ``exit_codes`` are those of each run.

    A code is negative for a signal; ``seconds`` are those of all runs together. ``stacks`` are files with every
    thread's stack at the deadline.
    """

    name: str = ""
    command: tuple[str, ...]
    exit_codes: tuple[int, ...]
    timed_out: bool = False
    seconds: float = 0.0
    max_rss_bytes: int = 0
    rate: Rate | None = None
    stacks: tuple[str, ...] = ()


class SharedObject(Struct, frozen=True, kw_only=True):
    """One object that the process loaded; ``instrumented`` by its ELF symbols, None where they cannot be read."""

    path: str
    instrumented: bool | None
    build_id: str = ""
    version: str = ""


class SuppressionUse(Struct, frozen=True, kw_only=True):
    """One suppression (``type:pattern``), how often it matched, and why it is there.

    ``shipped`` is true for one that comes with python-tsan, false for the user's own.
    """

    entry: str
    matched: int
    file: str = ""
    line: int = 0
    reason: str = ""
    shipped: bool = False


class BaselineState(Enum):
    """What became of an entry of the baseline."""

    SEEN = "seen"
    EXPIRED = "expired"
    GONE = "gone"  # did not occur in as many runs as the baseline asks for
    UNSEEN = "not seen"  # did not occur, in fewer runs than that


class BaselineEntry(Struct, frozen=True, kw_only=True):
    """One known finding, or the ``cause`` of several in words. ``expires`` is an ISO date, empty for never."""

    fingerprint: str
    state: BaselineState
    cause: str = ""
    reason: str = ""
    link: str = ""
    expires: str = ""


class BaselineResult(Struct, frozen=True, kw_only=True):
    """The baseline that findings were compared with."""

    file: str
    entries: tuple[BaselineEntry, ...] = ()


class KnownFinding(Struct, frozen=True, kw_only=True):
    """An entry of a baseline: the finding, why it is accepted, where it is worked on, and its last accepted day.

    An entry by cause has an empty fingerprint, and is about every finding with this ``function`` on one of its sides,
    on this global ``object``.
    """

    fingerprint: str = ""
    function: str = ""
    object: str = ""
    reason: str
    link: str
    expires: dt.date
    title: str = ""
    line: int = 0

    @property
    def cause(self) -> str:
        """The function and the object in words, empty for an entry by fingerprint."""
        parts = [f"{name} {text}" for name, text in (("function", self.function), ("object", self.object)) if text]
        return " and ".join(parts)


class Baseline(Struct, frozen=True, kw_only=True):
    """The known findings of a program. An entry is gone when ``enough_runs`` runs did not show it."""

    file: str
    enough_runs: int = 1
    known: tuple[KnownFinding, ...] = ()


class ShardRecord(Struct, frozen=True, kw_only=True):
    """What `merge` needs of one run of a program, so that runs of many machines are counted and judged as one.

    ``subject`` holds, by name, what must be the same for two runs to be of one subject. ``planned`` of the ``repeat``
    runs were this machine's. ``today`` decided what had expired. ``doubts`` and ``downgrades`` are those of the run as
    a whole, before it was judged.
    """

    subject: dict[str, str]
    repeat: int
    planned: int
    shard: Shard | None = None
    until_found: bool = False
    today: dt.date
    baseline: Baseline | None = None
    doubts: tuple[str, ...] = ()
    downgrades: tuple[str, ...] = ()


class SourceOrigin(Struct, frozen=True, kw_only=True):
    """Where an interpreter's source came from. ``replaces`` is the unavailable version that was requested, if any."""

    version: str
    origin: str
    sha256: str
    replaces: str = ""


class InterpreterRecord(Struct, frozen=True, kw_only=True):
    """The CPython of a lane: what its manifest says, without the places of its files."""

    key: str
    instrumented: bool
    version: str
    free_threaded: bool
    debug: bool
    toolchain: str
    prefix: Path = field(default_factory=Path)
    runtime_id: str = ""
    source: SourceOrigin | None = None
    flags: dict[str, str] = field(default_factory=dict)
    configure: tuple[str, ...] = ()
    missing_modules: tuple[str, ...] = ()


class LaneRecord(Struct, frozen=True, kw_only=True):
    """One lane of a run: what it ran on, or why it was skipped. ``blind_spot`` is what this lane cannot see.

    ``bindings`` are the versions of the binding libraries in the harness (``pybind11``), ``numpy`` that of the
    interpreter's numpy, empty without one.
    """

    lane: Lane
    interpreter: InterpreterRecord | None = None
    toolchain: str = ""
    bindings: dict[str, str] = field(default_factory=dict)
    numpy: str = ""
    symbolizer: str = ""
    tsan_options: str = ""
    skipped: str = ""
    blind_spot: str = ""
    seconds: float = 0.0


class Machine(Struct, frozen=True, kw_only=True):
    """The host of a run. ``mmap_rnd_bits`` is the address space's randomness, None where it is not known."""

    system: str
    kernel: str
    architecture: str
    libc: str
    cores: int
    mmap_rnd_bits: int | None
    launcher: tuple[str, ...] = ()


class Provenance(Struct, frozen=True, kw_only=True):
    """What is needed to repeat a run. ``started_at`` is ISO time in UTC.

    ``facts`` are further ones by name (kernel, libc, interpreter, toolchain and the like), ``environment`` the
    variables that differed from the caller's, ``removed`` those of the caller's that were left out, ``seeds`` those
    handed to the subjects by name, ``shims`` the groups of preloaded functions that reported synchronization which the
    runtime does not see. ``replaces`` is the unavailable CPython version that was requested, else empty.
    ``lock_file`` and ``lock_sha256`` pin ``numpy``. ``notes`` are what was shown to the user.
    """

    command: tuple[str, ...] = ()
    folder: str = ""
    started_at: str = ""
    tsan_options: str = ""
    machine: Machine | None = None
    facts: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    seeds: dict[str, int] = field(default_factory=dict)
    shims: tuple[str, ...] = ()
    replaces: str = ""
    lock_file: str = ""
    lock_sha256: str = ""
    numpy: str = ""
    notes: tuple[str, ...] = ()


class Result(Struct, frozen=True, kw_only=True):
    """Everything that a rendering may say. ``package`` is the version of python-tsan that made it.

    ``id`` is the name of the run's folder, which no other run has; it is empty for logs. ``blocks`` counts the findings
    before they were merged, ``outside`` the log lines that are not the sanitizer's. The sections that may be None are
    filled when a program was run. ``unfinished`` says what ended the run before all was judged, and is empty for a
    whole one; ``seconds`` is wall time.
    """

    schema: int = SCHEMA
    package: str = ""
    id: str = ""
    kind: ResultKind = ResultKind.LOGS
    subjects: tuple[Subject, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    findings: tuple[DistinctFinding, ...] = ()
    fatal: tuple[Fatal, ...] = ()
    unparsed: Unparsed = Unparsed()
    blocks: int = 0
    outside: int = 0
    inputs: tuple[Input, ...] = ()
    audit: tuple[SharedObject, ...] | None = None
    suppressions: tuple[SuppressionUse, ...] | None = None
    baseline: BaselineResult | None = None
    lanes: tuple[LaneRecord, ...] = ()
    shard_record: ShardRecord | None = None
    provenance: Provenance | None = None
    seconds: float = 0.0
    unfinished: str = ""

    @property
    def failing(self) -> tuple[DistinctFinding, ...]:
        """The findings that make this result red."""
        return tuple(finding for finding in self.findings if finding.status.fails)

    @property
    def subject(self) -> Subject | None:
        """The program that was run, None where checks ran or logs were read."""
        return self.subjects[0] if self.subjects and self.kind is ResultKind.PROGRAM else None

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Those of all verdicts in their order; several checks may judge the same ones."""
        return tuple(observation for verdict in self.verdicts for observation in verdict.observations)

    def of(self, lane: Lane) -> tuple[Verdict, ...]:
        """Return the verdicts of one lane, in the order of the run."""
        return tuple(verdict for verdict in self.verdicts if verdict.lane is lane)

    @property
    def verdict(self) -> Conclusion:
        """What all verdicts come to. A doubt outweighs a failure; a run that judged nothing, or not all, is a doubt."""
        if self.kind is ResultKind.CHECKS or not self.verdicts:  # a damaged document may lack them
            return _conclusion(self)
        one = self.verdicts[0]
        return Conclusion(status=_STATUSES[one.status], reason=one.reason, downgrades=one.downgrades)

    @property
    def exit_code(self) -> ExitCode:
        """The result in one code."""
        return _EXIT_CODES[self.verdict.status]


_STATUSES = {
    Status.PASSED: VerdictStatus.CLEAN,
    Status.FAILED: VerdictStatus.FINDINGS,
    Status.COULD_NOT_JUDGE: VerdictStatus.COULD_NOT_JUDGE,
    Status.SKIPPED: VerdictStatus.COULD_NOT_JUDGE,
}
_EXIT_CODES = {
    VerdictStatus.CLEAN: ExitCode.CLEAN,
    VerdictStatus.FINDINGS: ExitCode.FINDINGS,
    VerdictStatus.COULD_NOT_JUDGE: ExitCode.SUBJECT,
}


def _conclusion(result: Result) -> Conclusion:
    counts = Counter(verdict.status for verdict in result.verdicts)
    judged = counts.total() - counts[Status.SKIPPED]
    status, checks = VerdictStatus.COULD_NOT_JUDGE, counted(judged, "check")
    if result.unfinished:
        reason = f"unfinished after {checks}, so nothing is concluded: {result.unfinished}"
    elif not judged:
        reason = "no check was run"
    elif counts[Status.COULD_NOT_JUDGE]:
        reason = f"{counts[Status.COULD_NOT_JUDGE]} of {checks}"
    elif counts[Status.FAILED]:
        status, reason = VerdictStatus.FINDINGS, f"{counts[Status.FAILED]} of {checks} not met"
    else:
        status, reason = VerdictStatus.CLEAN, f"{checks} as expected"
    return Conclusion(status=status, reason=reason)
