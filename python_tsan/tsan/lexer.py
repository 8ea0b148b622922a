"""Read one line of a ThreadSanitizer block; the parser knows the order of lines.

The rules follow ``compiler-rt/lib/tsan/rtl/tsan_report.cpp`` of LLVM and its older fork in GCC's ``libsanitizer``.
Indentation is never required: log collectors strip it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from python_tsan.tsan.fields import ADDRESS, THREAD, hexadecimal, number, who
from python_tsan.tsan.finding import (
    Access,
    Acquisition,
    Dialect,
    HeldMutex,
    Kind,
    Mutex,
    Operation,
    Thread,
    ThreadStatus,
)
from python_tsan.tsan.frame_line import read_frame
from python_tsan.tsan.location_line import read_go_location, read_location
from python_tsan.tsan.tokens import (
    Cycle,
    GoFunction,
    GoPlace,
    Heading,
    HeldBefore,
    Leaked,
    Mark,
    Note,
    SignalCaption,
    Summary,
    Token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_tsan.tsan.finding import Frame

    FrameReader = Callable[[str], Frame | None]

# \#0, \[failed: Markdown
_ESCAPED = frozenset("#[*")
FENCE = "=================="
# A longer line is not the printer's. No rule takes more than a second for any line of this length.
MAX_TEXT = 1 << 16

# Titles that need no pid behind them to be known; the longest first.
_TITLES = sorted((*(kind.value for kind in Kind if kind is not Kind.UNRECOGNISED), "Swift access race"), key=len)[::-1]
# WARNING: ThreadSanitizer: data race (pid=1234)
# WARNING: ThreadSanitizer: data race (pid=1234) [worker 3]
_EXACT = r"WARNING: ThreadSanitizer: (?P<title>.{1,400}?) \(pid=(?P<pid>\d+)\)"
# WARNING: ThreadSanitizer: data race
# WARNING: ThreadSanitizer: data race on worker 3
# Warning - ThreadSanitizer:Data race(pid=1234)
# ThreadSanitizer: data race (pid=1234)
_TITLE = "|".join(map(re.escape, _TITLES))
_ANY_HEADING = (
    rf"{_EXACT}|(?i:\b(?:warning|error)\b[ :-]{{1,3}}ThreadSanitizer: {{0,2}}(?P<bare>{_TITLE})"
    r"(?=\s*(?:$|[^\w\s])|\s+(?:pid|on|in|at|by|for|from|during|\d+)\b))"
    rf"|(?i:ThreadSanitizer: {{0,2}}(?P<plain>{_TITLE})(?=\s*\(pid\b))"
)
# (pid=1234), (pid: 1234), pid 1234
_PID = r"(?i)\s*\(?pid[=: ]{1,2}(?P<pid>\d+)\b"
# WARNING: DATA RACE
# WARNING: DEADLOCK  # noqa: ERA001 -- as printed
GO_HEADING = re.compile(r"WARNING: (?P<title>DATA RACE|DEADLOCK)(?![\w:-])")
# SUMMARY: ThreadSanitizer: data race /src/race.cpp:12:5 in worker(int)
SUMMARY = re.compile(r"SUMMARY: ThreadSanitizer: (?P<text>.*)$")
# thread T3 'worker' (tid=4711): what some printers add to a thread
_DETAILS = r"(?: '[^'\n]*')?(?: \(tid=\d+[^()]*\))?"
_MUTEXES = r"(?: \(mutexes: (?P<mutexes>[^)]*)\))?"
#   Write of size 8 at 0x7b0400000000 by thread T3 (mutexes: write M12, read M3):
#   Previous atomic read of size 4 at 0x7b0400000000 by main thread:
# Previous write at 0x00c0000b4010 by goroutine 7:
# Write by goroutine 7:
_ACCESS = re.compile(
    r"(?P<previous>Previous )?(?P<atomic>atomic )?(?P<operation>read|write)(?: of size (?P<size>\d+))?"
    rf"(?: at (?P<address>{ADDRESS}))? by {THREAD}{_DETAILS}{_MUTEXES}(?::|$)",
    re.IGNORECASE,
)
#   Write of size 4 at <addr> by thread T? [pool]:
#   Previous write of 4 bytes at (nil) by unknown thread
#   Write of size 8 at 0x7b0400000000 by thread 'pool::worker' (mutexes: write M12):
_LOOSE_ACCESS = (
    r"(?i)(?P<previous>previous )?(?P<atomic>atomic )?(?P<operation>read|write)"
    r"(?: of (?:size )?(?P<size>\d{1,18})?\S{0,20}(?: bytes)?)?"
    rf"(?: at (?P<address>{ADDRESS})?[^\s:]*)?"
    rf" by (?P<who>(?=[^:]*(?:thread|goroutine|\bT\d))(?:'[^'\n]*'|[^:']){{1,200}}?){_MUTEXES}:?$"
)
# thread T3, T3, worker thread 3
_THREAD_NUMBER = re.compile(r"\bT(?P<letter>\d+)|thread\s+(?P<word>\d+)")
#   Modifying access of Swift variable at 0x7b0400000000 by thread T1:
#   Previous read-only access of external object at 0x7b0400000000 by main thread (mutexes: write M1):
_EXTERNAL_ACCESS = (
    r"(?i)(?P<previous>Previous )?(?P<operation>modifying|read-only) access of (?P<object>.+)"
    rf" at (?P<address>{ADDRESS}) by {THREAD}{_DETAILS}{_MUTEXES}(?::|$)"
)
#  write M12, read M3
_HELD = re.compile(r"(?P<mode>write|read) M(?P<id>\d+)")
#   Mutex M12 (0x7b0c00000000) created at:
#   Mutex M12 created at:
#   Mutex M12 is already destroyed.
_MUTEX = rf"Mutex M(?P<id>\d+) (?:(?:\(?(?P<address>{ADDRESS})\)? )?created at:|(?P<destroyed>is already destroyed)\.)"
#   Thread T1 'loader' (tid=4711, running) created by main thread at:
#   Thread T2 (tid=4712, finished) is a GCD worker thread
#   Thread T1 (running) created at:
#   Thread 'loader' (running) created by main thread at:
_CREATED = re.compile(
    r"Thread(?: T?(?:(?P<id>\d+)|\?))?(?: '(?P<name>.*)')?"
    r"(?: \((?:tid=(?P<tid>\d+))?(?:, )?(?P<status>running|finished)?\))?"
    rf" (?:(?P<worker>is a GCD worker thread)|created (?:by {THREAD}|at:))"
)
# Goroutine 7 (running) created at:
_GOROUTINE = re.compile(r"Goroutine (?P<id>\d+) \((?P<status>running|finished)\) created at:")
#   Cycle in lock order graph: M0 (0x7ffc1) => M1 (0x7ffc2) => M0
_CYCLE = r"Cycle in lock order graph: (?P<links>.*)"
# M0 (0x7ffc1) =>
_LINK = rf"M(?P<id>\d+) \((?P<address>{ADDRESS})\)"
#   Mutex M1 acquired here while holding mutex M0 in main thread:
_ACQUIRED = rf"Mutex M(?P<mutex>\d+) acquired here while holding mutex M(?P<holding>\d+) in {THREAD}:"
#   Mutex M0 previously acquired by the same thread here:
_HELD_BEFORE = r"Mutex M(?P<mutex>\d+) previously acquired by the same thread here:"
# Goroutine 999 lock mutex 2 while holding mutex 1:
_GO_ACQUIRED = r"Goroutine (?P<thread>\d+) lock mutex (?P<mutex>\d+) while holding mutex (?P<holding>\d+):"
# Mutex 1 was previously locked here:
_GO_HELD_BEFORE = r"Mutex (?P<mutex>\d+) was previously locked here:"
#   Signal 10 handler invoked at:
_SIGNAL = r"Signal (?P<signal>\d+) handler invoked at:"
#   And 3 more similar thread leaks.
_LEAKED = r"And (?P<others>\d+) more similar thread leaks\."
#     HINT: use TSAN_OPTIONS=second_deadlock_stack=1 to get more informative warning message
_HINT = r"(?i)hint: use TSAN_OPTIONS="
#   main.main.func1()  # noqa: ERA001 -- as printed
_GO_FUNCTION = re.compile(r"(?P<symbol>\S+)\(\)\s*$")
#       /src/main.go:11 +0x44
#       /usr/lib/go/src/runtime/proc.c:1445
_GO_PLACE = r"(?P<file>\S.*\.(?:go|[chs])|\S.*(?=:\d+ \+0x)):(?P<line>\d+)(?: \+(?P<offset>0x[0-9a-f]+))?\s*$"


def names_sanitizer(text: str) -> bool:
    """Report whether a text may have a heading or a summary."""
    return "ThreadSanitizer" in text or "WARNING: D" in text


def lex(line: str, read_frame: FrameReader = read_frame) -> Token:
    """Return what one line is; the line is free of its log prefix, colours and line end. Never raises."""
    text = line.strip()
    if text[:1] == "\\" and text[1:2] in _ESCAPED:
        text = text[1:]
    if not text:
        return Mark.BLANK
    if len(text) > MAX_TEXT:
        return Mark.UNKNOWN
    if text[0] in "#*f[0123456789" and (frame := read_frame(text)):
        return frame
    for rule in (*_RULES.get(text[:3].lower(), ()), *_OTHERS):
        token = rule(text)
        if token is not None:
            return token
    return read_frame(text) or Mark.UNKNOWN


def _access(text: str) -> Access | None:
    found = _ACCESS.match(text)
    if not found:
        return None
    thread, main = who(found)
    return Access(
        operation=Operation(found["operation"].lower()),
        atomic=bool(found["atomic"]),
        size=number(found["size"]),
        address=hexadecimal(found["address"]) or 0,
        thread=thread or 0,
        main_thread=main,
        mutexes=_held(found["mutexes"]),
        previous=bool(found["previous"]),
    )


def _loose_access(text: str) -> Access | None:
    """Read an access of which parts were left out, replaced or added."""
    found = re.match(_LOOSE_ACCESS, text)
    if not found:
        return None
    thread = _THREAD_NUMBER.search(found["who"])
    return Access(
        operation=Operation(found["operation"].lower()),
        atomic=bool(found["atomic"]),
        size=number(found["size"]),
        address=hexadecimal(found["address"]) or 0,
        thread=(number(thread["letter"] or thread["word"]) if thread else None) or 0,
        main_thread=found["who"].lower().removeprefix("the ").startswith("main "),
        mutexes=_held(found["mutexes"]),
        previous=bool(found["previous"]),
    )


def _external_access(text: str) -> Access | None:
    found = re.match(_EXTERNAL_ACCESS, text)
    if not found:
        return None
    thread, main = who(found)
    return Access(
        operation=Operation.WRITE if found["operation"].lower() == "modifying" else Operation.READ,
        atomic=False,
        size=None,
        address=hexadecimal(found["address"]) or 0,
        thread=thread or 0,
        main_thread=main,
        mutexes=_held(found["mutexes"]),
        previous=bool(found["previous"]),
        object_type=found["object"],
    )


def _held(text: str | None) -> tuple[HeldMutex, ...]:
    return tuple(HeldMutex(id=number(m["id"]) or 0, write=m["mode"] == "write") for m in _HELD.finditer(text or ""))


def _mutex(text: str) -> Mutex | None:
    found = re.match(_MUTEX, text)
    if not found:
        return None
    return Mutex(id=number(found["id"]) or 0, address=hexadecimal(found["address"]), destroyed=bool(found["destroyed"]))


def _created(text: str) -> Thread | None:
    found = _CREATED.match(text)
    if not found:
        return None
    parent, main = who(found)
    return Thread(
        id=number(found["id"]) or 0,
        name=found["name"] or "",
        tid=number(found["tid"]),
        status=ThreadStatus(found["status"] or "running"),
        parent=parent,
        parent_main=main,
        worker=bool(found["worker"]),
    )


def _goroutine(text: str) -> Thread | None:
    found = _GOROUTINE.match(text)
    return found and Thread(id=number(found["id"]) or 0, name="", tid=None, status=ThreadStatus(found["status"]))


def _cycle(text: str) -> Cycle | None:
    found = re.match(_CYCLE, text)
    if not found:
        return None
    links = re.finditer(_LINK, found["links"])
    return Cycle(tuple(Mutex(id=number(link["id"]) or 0, address=hexadecimal(link["address"])) for link in links))


def _acquired(text: str) -> Acquisition | None:
    found = re.match(_ACQUIRED, text)
    if not found:
        return None
    thread, main = who(found)
    return Acquisition(
        mutex=number(found["mutex"]) or 0, holding=number(found["holding"]) or 0, thread=thread, main_thread=main
    )


def _go_acquired(text: str) -> Acquisition | None:
    found = re.match(_GO_ACQUIRED, text)
    if not found:
        return None
    return Acquisition(
        mutex=number(found["mutex"]) or 0,
        holding=number(found["holding"]) or 0,
        thread=number(found["thread"]),
        main_thread=False,
    )


def _held_before(text: str) -> HeldBefore | None:
    found = re.match(_HELD_BEFORE, text) or re.match(_GO_HELD_BEFORE, text)
    return found and HeldBefore(number(found["mutex"]) or 0)


def find_heading(line: str) -> re.Match[str] | None:
    """Return the first heading in a line. Most are exactly as printed; to compile the pattern for all takes long."""
    return re.match(_EXACT, line) or re.search(_ANY_HEADING, line)


def _heading(text: str) -> Heading | None:
    if found := re.match(_EXACT, text):
        return Heading(found["title"], number(found["pid"]), Dialect.CXX)
    if found := re.match(_ANY_HEADING, text):
        title = found["title"] or found["bare"] or found["plain"]
        pid = found if found["pid"] else re.match(_PID, text[found.end() :])
        return Heading(title, number(pid["pid"]) if pid else None, Dialect.CXX)
    found = GO_HEADING.match(text)
    return found and Heading(found["title"], None, Dialect.GO)


def _summary(text: str) -> Summary | None:
    found = SUMMARY.match(text)
    return found and Summary(found["text"])


def _signal(text: str) -> SignalCaption | None:
    found = re.match(_SIGNAL, text)
    return found and SignalCaption(number(found["signal"]) or 0, text)


def _leaked(text: str) -> Leaked | None:
    found = re.match(_LEAKED, text)
    return found and Leaked(number(found["others"]) or 0)


def _hint(text: str) -> Note | None:
    return Note(text) if re.match(_HINT, text) else None


def _mark(text: str) -> Mark | None:
    match text:
        case "==================":
            return Mark.FENCE
        case "[failed to restore the stack]":
            return Mark.UNRESTORED
        case "As if synchronized via sleep:" | "as if synchronized via sleep:":
            return Mark.SLEEP
        case "and:":
            return Mark.AND
        case _:
            return None


def _go_function(text: str) -> GoFunction | None:
    found = _GO_FUNCTION.match(text)
    return found and GoFunction(found["symbol"])


def _go_place(text: str) -> GoPlace | None:
    found = re.match(_GO_PLACE, text)
    return found and GoPlace(found["file"], number(found["line"]) or 0, hexadecimal(found["offset"]))


# Rules by the first three letters of a line, so that a line is tried against one or two patterns, not twenty.
_RULES: dict[str, tuple[Callable[[str], Token | None], ...]] = {
    "===": (_mark,),
    "[fa": (_mark,),
    "as ": (_mark,),
    "and": (_mark, _leaked),
    "war": (_heading,),
    "err": (_heading,),
    "sum": (_summary,),
    "wri": (_access, _loose_access),
    "rea": (_access, _external_access, _loose_access),
    "ato": (_access, _loose_access),
    "pre": (_access, _external_access, _loose_access),
    "mod": (_external_access,),
    "loc": (read_location,),
    "hea": (read_go_location,),
    "glo": (read_go_location,),
    "mut": (_mutex, _acquired, _held_before),
    "thr": (_created, _heading),
    "gor": (_goroutine, _go_acquired),
    "cyc": (_cycle,),
    "sig": (_signal,),
    "hin": (_hint,),
}
RULE_STARTS = tuple(_RULES)
_OTHERS: tuple[Callable[[str], Token | None], ...] = (_go_place, _go_function)
