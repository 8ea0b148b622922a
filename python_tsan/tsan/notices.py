"""Recognise what is in a log besides findings: fatal ends, remarks of the runtime, lost reports, other tools.

A log that says that something was found is never clean, whether or not the report itself can be read.
"""

from __future__ import annotations

import re

from msgspec import Struct

from python_tsan.tsan.fields import ADDRESS, number

# FATAL: ThreadSanitizer: unexpected memory mapping 0x55d0e0a00000-0x55d0e0b00000
# ==4711==FATAL: ThreadSanitizer: memory layout is incompatible, even though ASLR is disabled.
# FATAL: ThreadSanitizer can not mmap the shadow memory (something is mapped at 0x00e000000000 < 0x100000000000)
# ThreadSanitizer: CHECK failed: tsan_rtl.cpp:101 "((a)) != (0)" (0x0, 0x0) (tid=4711)
# FATAL: ThreadSanitizer CHECK failed: tsan_rtl.cc:101 "((a)) != (0)" (0x0, 0x0)
# ThreadSanitizer:DEADLYSIGNAL  # noqa: ERA001 -- as printed
# ==4711==ERROR: ThreadSanitizer: SEGV on unknown address 0x000000000008 (pc 0x55 bp 0x2 sp 0x7f T4711)
FATAL = re.compile(
    r"(?:==\d+==)?(?:FATAL: ThreadSanitizer|ThreadSanitizer: CHECK failed|ThreadSanitizer:DEADLYSIGNAL"
    r"|ERROR: ThreadSanitizer)"
)
# ==4711==The signal is caused by a WRITE memory access.
# FATAL: Please file a bug.
# rax = 0x0000000000000000  rbx = 0x0000000000000002
# ThreadSanitizer can not provide additional info.
FATAL_DETAIL = re.compile(
    r"==\d+==|FATAL: |\s*H(?:int|INT): |[re ][a-z0-9]{2} += 0x|ThreadSanitizer can not provide additional info"
    r"|ThreadSanitizer: nested bug"
)
# ThreadSanitizer: Matched 3 suppressions (pid=4711):
# ThreadSanitizer: matched suppression 'race:foo'
# ThreadSanitizer: reported 2 warnings
# ***** Running under ThreadSanitizer v3 (pid 4711) *****
# ==4711==WARNING: ThreadSanitizer: memory layout is incompatible, possibly due to high-entropy ASLR.
# ==4711==WARNING: Program is run with unlimited stack size, which wouldn't work with ThreadSanitizer.
# ThreadSanitizer: failed to intercept 'xdr_destroy'
# ThreadSanitizer report breakpoint hit. Use 'thread info -s' to get extended information about the report.
_NOTICE = re.compile(
    r"ThreadSanitizer: (?:reported \d+ warnings?|matched |failed to intercept |growing |re-?exec|breakpoint|verbosity)"
    r"|\*{5} Running under ThreadSanitizer|WARNING: ThreadSanitizer: memory layout is incompatible"
    r"|WARNING: Program is run with .{0,200} ThreadSanitizer|ThreadSanitizer report breakpoint"
    r"|Re-?exec\w{0,9} .{0,200}ThreadSanitizer|breakpoint .{0,200}ThreadSanitizer",
    re.IGNORECASE,
)
# A line that is never a mere remark, for all functions that it names.
_REPORT = re.compile(r"(?:SUMMARY|FATAL|ERROR): ThreadSanitizer|ThreadSanitizer:DEADLYSIGNAL|CHECK failed")
# ThreadSanitizer: reported 2 warnings
# Found 2 data race(s)
_REPORTED = re.compile(r"ThreadSanitizer: reported (?P<cxx>\d+) warning|\bFound (?P<go>\d+) data race\(s\)")
# testing.go:1152: race detected during execution of test
GO_TEST = "race detected during execution of test"
# SUMMARY: ThreadSanitizer: data race /src/race.cpp:12:5 in worker(int)
# WARNING: ThreadSanitizer: data ra
_CLAIM = re.compile(r"(?:SUMMARY|WARNING): ThreadSanitizer")
# Lines that come in a report alone:
#   Write of size 8 at 0x7b0400000000 by thread T3
# Previous read at 0x00c0000b4010 by main goroutine
#   Thread T1 'loader' (tid=4711, running) created by main thread at:
#   Location is heap block of size 40 at 0x7b0c00000000 allocated by thread T1:
#   Mutex M1 acquired here while holding mutex M0 in main thread:
# Goroutine 7 (running) created at:
# ThreadSanitizer can not provide additional info.
_PART = (
    rf"(?i)\b(?:write|read|access)\b[^:]{{0,200}} at {ADDRESS} by (?:(?:main|unknown) (?:thread|goroutine)"
    r"|thread T?[\d'?]|goroutine \d)|\bThread (?:T[\d?]|').{0,200}created (?:by |at:)"
    r"|\bGoroutine \d+ \((?:running|finished)\) created at:"
    rf"|\bLocation is (?:global '|(?:stack|TLS) of (?:main )?thread|file descriptor \d"
    rf"|.{{1,100}} of size \d+ at {ADDRESS})|\bMutex M\d+ (?:\({ADDRESS}|created at:|acquired here|previously acquired)"
    r"|\bCycle in lock order graph: M\d|\bThreadSanitizer can not provide additional info"
    r"|\brace detected outside of test execution"
)
# ThreadSanitizer detected a data race, 3 ThreadSanitizer errors: what other programs say of a report
_SAID = (
    r"(?i)ThreadSanitizer\b.{0,80}\b(?:race|detected|deadlock|lock-order|use-after-free|thread leak"
    r"|[1-9]\d* (?:warning|error|issue|report)s?)\b|\b[1-9]\d* ThreadSanitizer (?:warning|error|issue|report)s?\b"
    r"|\braces? (?:\w+ )?(?:by|in|from) ThreadSanitizer"
)
# Process completed with exit code 66. make: *** [Makefile:7: check] Error 66
# The runtime's own code for a process that had reports; without a report in the log, it lacks them.
_EXITED = (
    r"(?i)\b(?:exit(?:ed|s|ing)?|exit ?code|return(?:ed|s)?|terminated|status|ended|rc|failed)\b[^\d\n]{0,40}\b66\b"
    r"(?![\d:%]|\.\d)|\*\*\* .{0,200}\bError 66\b"
)
_DENIED = re.compile(r"\b(?:0|no|none|not|without|never)\b", re.IGNORECASE)
# BUG: KCSAN: data-race in foo / bar
# ==4711== Helgrind, a thread error detector
# ==4711== Possible data race during write of size 4 at 0x30A040 by thread #2
# ==4711== drd, a thread error detector
# ==4711== Conflicting store by thread 2 at 0x0060103c size 4
# ==4711==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010
# race.c:4:2: runtime error: signed integer overflow
_OTHER_TOOL = (
    r"\b(?P<kernel>K(?:CSAN|ASAN|MSAN)): |==\d+== (?:(?P<helgrind>Helgrind, |Possible data race during )"
    r"|(?P<drd>drd, |DRD, |Conflicting (?:load|store) by thread ))"
    r"|(?:ERROR|WARNING|SUMMARY|FATAL): ?"
    r"(?P<sanitizer>(?:HWAddress|Address|Memory|Leak|UndefinedBehavior|Type|Realtime)Sanitizer)\b"
    r"|(?P<ub>:\d+:(?:\d+:)? runtime error: )"
)


class Tally(Struct):
    """The reports that a log speaks of, against those that were read. ``found`` counts headings.

    The runtime counts its reports when a process ends; a summary or a line of an access without its heading is left
    of a report, too.
    """

    found: int = 0
    truncated: int = 0
    _unnamed: int = 0
    _short: int = 0
    _summaries: int = 0
    _parts: bool = False
    _counted: bool = False  # a line states how many there were
    _cleared: bool = False  # and that there were some

    @property
    def missing(self) -> int:
        """How many reports the log speaks of beyond those that were read."""
        left = self._summaries or (1 if self._parts and not self.found else 0)
        return self._short + max(0, left - self.truncated)

    def heading(self, count: int = 1) -> None:
        """Count reports that were found."""
        self.found += count
        self._unnamed += count

    def extend(self, later: Tally) -> None:
        """Add the tally of what follows in the log, as if all had been read at once."""
        short = max(0, later._short - self._unnamed)
        self._unnamed += later._unnamed - later._short + short
        self._short += short
        self.found += later.found
        self.truncated += later.truncated
        self._summaries = later._summaries + (0 if later._counted else self._summaries)
        self._parts = later._parts or (self._parts and not later._cleared)
        self._counted |= later._counted
        self._cleared |= later._cleared

    def line(self, line: str) -> bool:
        """Take note of a line outside of findings; return whether it says how many reports there were."""
        if counted := _REPORTED.search(line):
            count = number(counted["cxx"] or counted["go"])
            if count is None:  # too many digits
                count = 1
            self._short += max(0, count - self._unnamed)
            self._unnamed = max(0, self._unnamed - count)
            self._summaries, self._parts = 0, self._parts and count == 0
            self._counted, self._cleared = True, self._cleared or count > 0
            return True
        if is_notice(line):
            return False
        if _CLAIM.search(line):
            self._summaries += 1
        elif (
            GO_TEST in line
            or re.search(_PART, line)
            or (re.search(_EXITED, line) and "_OPTIONS" not in line)
            or (re.search(_SAID, line) and not _DENIED.search(line))
        ):
            self._parts = True
        return False


def is_notice(line: str) -> bool:
    """Report whether a line that speaks of ThreadSanitizer is a known remark, which needs no reading."""
    return bool(_NOTICE.search(line)) and not _REPORT.search(line)


def may_matter(raw: str) -> bool:
    """Report whether a line that does not name ThreadSanitizer may concern the tally or be another tool's.

    Called for every line of program output, so it is the cheapest test that misses none.
    """
    return (
        "race" in raw
        or " at 0x" in raw
        or " by " in raw
        or " created at" in raw
        or "Location is " in raw
        or "utex M" in raw
        or "lock order graph" in raw
        or "Sanitizer" in raw
        or "SAN: " in raw
        or " error" in raw
        or " 66" in raw
        or "=66" in raw
    )


def other_tool(line: str) -> str:
    """Return the name of another race or memory checker that printed this line; empty for none."""
    found = re.search(_OTHER_TOOL, line)
    if not found:
        return ""
    names = {"helgrind": "Helgrind", "drd": "DRD", "ub": "UndefinedBehaviorSanitizer"}
    return names.get(found.lastgroup or "") or found[found.lastgroup or 0]
