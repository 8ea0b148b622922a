from __future__ import annotations

import pytest

from python_tsan.tsan.finding import (
    Access,
    Dialect,
    Frame,
    Location,
    LocationKind,
    Mutex,
    Operation,
    Thread,
    ThreadStatus,
)
from python_tsan.tsan.lexer import lex
from python_tsan.tsan.tokens import Heading, HeldBefore, Leaked, Mark, Note, SignalCaption, Summary


@pytest.mark.parametrize(
    ("line", "symbol", "file", "number", "column", "module"),
    [
        ("    #0 main /src/a.cpp:3:25 (race+0xe4)", "main", "/src/a.cpp", 3, 25, "race"),
        ("    #1 main /src/a.cpp:3 (race+0xe4)", "main", "/src/a.cpp", 3, 0, "race"),
        ("    #8 <null> <null> (libstdc++.so.6+0xb8)", "", "", 0, 0, "libstdc++.so.6"),
        ("    #0 pthread_create <null> (race+0x6) (BuildId: 1e4f)", "pthread_create", "", 0, 0, "race"),
        ("    #2 f(int, char) const a b/c.cpp:1:2 (m+0x1)", "f(int, char) const", "a b/c.cpp", 1, 2, "m"),
        ("    #2 f(int) /my dir/c d.cpp:1:2 (my prog+0x1)", "f(int)", "/my dir/c d.cpp", 1, 2, "my prog"),
        ("    #2 g<(lambda at /x/y.cpp:1:2)>() /s.cpp:5 (m+0x1)", "g<(lambda at /x/y.cpp:1:2)>()", "/s.cpp", 5, 0, "m"),
        ("    #0 V operator/(V, V) /s.cpp:5:6 (m+0x1)", "V operator/(V, V)", "/s.cpp", 5, 6, "m"),
        (r"    #0 f C:\src\a.cpp(12,5) (m.exe+0x1)", "f", r"C:\src\a.cpp", 12, 5, "m.exe"),
        ("    #0 f /s.cpp:5:6", "f", "/s.cpp", 5, 6, ""),
        ("    #0 f /s.cpp (0x7f12)", "f", "/s.cpp", 0, 0, ""),
        ("    #0 f <null> (<unknown module>)", "f", "", 0, 0, ""),
        ("#0 f <null> ([vdso]+0x9a1)", "f", "", 0, 0, "[vdso]"),
        ("    #0 f <null> (plugin (1).so+0x9a1)", "f", "", 0, 0, "plugin (1).so"),
    ],
)
def test_frames(line, symbol, file, number, column, module):  # noqa: PLR0917 -- one name per part of the line
    frame = lex(line)
    assert isinstance(frame, Frame)
    found = (frame.symbol, frame.file, frame.line, frame.column, frame.module)
    assert found == (symbol, file, number, column, module)
    assert not frame.marked


@pytest.mark.parametrize(
    "line", ["  * #1 f /s.cpp:5 (m+0x1)", "   *#1 f /s.cpp:5 (m+0x1)", "    #1* f /s.cpp:5 (m+0x1)"]
)
def test_marked_frames(line):
    frame = lex(line)
    assert isinstance(frame, Frame)
    assert (frame.marked, frame.index, frame.symbol) == (True, 1, "f")


def test_frame_offset_and_build_id():
    frame = lex("    #0 f /s.cpp:5:6 (m+0x1f) (BuildId: 1e4fc2)")
    assert isinstance(frame, Frame)
    assert (frame.offset, frame.build_id) == (31, "1e4fc2")


def test_lower_case_previous_atomic_write():
    access = lex("  Previous atomic write of size 4 at 0x7b04 by main thread (mutexes: write M12, read M3):")
    assert isinstance(access, Access)
    assert (access.operation, access.atomic, access.previous) == (Operation.WRITE, True, True)
    assert (access.size, access.address, access.thread, access.main_thread) == (4, 0x7B04, 0, True)
    assert [(mutex.id, mutex.write) for mutex in access.mutexes] == [(12, True), (3, False)]


def test_external_access():
    access = lex("  Previous read-only access of Swift variable at 0x7b04 by thread T5:")
    assert isinstance(access, Access)
    assert (access.side, access.object_type, access.size, access.thread) == ("read", "Swift variable", None, 5)


def test_go_access():
    access = lex("Write at 0x00c0000b4010 by goroutine 7:")
    assert isinstance(access, Access)
    assert (access.side, access.size, access.thread, access.main_thread) == ("write", None, 7, False)


@pytest.mark.parametrize(
    ("line", "kind", "name", "size", "thread"),
    [
        ("  Location is global 'g' of size 8 at 0x5 (race+0x14)", LocationKind.GLOBAL, "g", 8, None),
        ("  Location is global 'f()::it's' at 0x5 (my (1)+0x14)", LocationKind.GLOBAL, "f()::it's", None, None),
        ("  Location is global '<null>' at 0x5 ([stack]+0x14)", LocationKind.GLOBAL, "", None, None),
        ("  Location is heap block of size 40 at 0x7b allocated by thread T1:", LocationKind.HEAP, "", 40, 1),
        (
            "  Location is Swift variable of size 24 at 0x7b allocated by main thread:",
            LocationKind.EXTERNAL,
            "Swift variable",
            24,
            0,
        ),
        ("  Location is stack of main thread.", LocationKind.STACK, "", None, 0),
        ("  Location is TLS of thread T4.", LocationKind.TLS, "", None, 4),
        ("  Location is file descriptor 5 created by thread T1 at:", LocationKind.FILE_DESCRIPTOR, "", None, 1),
        ("  Location is file descriptor 5 destroyed by thread T1 at::", LocationKind.FILE_DESCRIPTOR, "", None, 1),
        ("Heap block of size 16 at 0x00c0 allocated by main goroutine:", LocationKind.HEAP, "", 16, 0),
        ("Global var main.n of size 8 at 0x5a declared at /src/main.go:7", LocationKind.GLOBAL, "main.n", 8, None),
    ],
)
def test_locations(line, kind, name, size, thread):
    location = lex(line)
    assert isinstance(location, Location)
    assert (location.kind, location.name, location.size, location.thread) == (kind, name, size, thread)
    assert location.text == line.strip()


def test_threads():
    thread = lex("  Thread T1 'it's (tid=3) mine' (tid=4711, running) created by thread T9 at:")
    assert thread == Thread(id=1, name="it's (tid=3) mine", tid=4711, status=ThreadStatus.RUNNING, parent=9)
    worker = lex("  Thread T2 (tid=4712, finished) is a GCD worker thread")
    assert worker == Thread(id=2, name="", tid=4712, status=ThreadStatus.FINISHED, worker=True)
    goroutine = lex("Goroutine 7 (running) created at:")
    assert goroutine == Thread(id=7, name="", tid=None, status=ThreadStatus.RUNNING)


@pytest.mark.parametrize(
    ("line", "token"),
    [
        ("", Mark.BLANK),
        ("==================", Mark.FENCE),
        ("    [failed to restore the stack]", Mark.UNRESTORED),
        ("  As if synchronized via sleep:", Mark.SLEEP),
        ("  and:", Mark.AND),
        ("WARNING: ThreadSanitizer: data race (pid=12)", Heading("data race", 12, Dialect.CXX)),
        ("WARNING: DATA RACE", Heading("DATA RACE", None, Dialect.GO)),
        ("SUMMARY: ThreadSanitizer: data race a.c:1 in f", Summary("data race a.c:1 in f")),
        ("  Mutex M12 (0x7b) created at:", Mutex(id=12, address=0x7B)),
        ("  Mutex M12 is already destroyed.", Mutex(id=12, destroyed=True)),
        ("  Mutex M0 previously acquired by the same thread here:", HeldBefore(0)),
        ("Mutex 1 was previously locked here:", HeldBefore(1)),
        ("  Signal 10 handler invoked at:", SignalCaption(10, "Signal 10 handler invoked at:")),
        ("  And 3 more similar thread leaks.", Leaked(3)),
        (
            "    HINT: use TSAN_OPTIONS=second_deadlock_stack=1 to",
            Note("HINT: use TSAN_OPTIONS=second_deadlock_stack=1 to"),
        ),
        ("Mutex poisoned", Mark.UNKNOWN),
        ("reading file", Mark.UNKNOWN),
        ("# a comment", Mark.UNKNOWN),
        ("WARNING: ThreadSanitizer: memory layout is incompatible", Mark.UNKNOWN),
    ],
)
def test_other_lines(line, token):
    assert lex(line) == token
