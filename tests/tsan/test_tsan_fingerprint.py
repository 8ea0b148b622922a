from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tsan_printer import print_finding
from tsan_strategies import findings

from python_tsan.tsan.finding import (
    Access,
    Acquisition,
    Frame,
    Kind,
    LocationKind,
    Mutex,
    Operation,
    Stack,
    Thread,
    ThreadStatus,
)
from python_tsan.tsan.fingerprint import fingerprint, identity
from python_tsan.tsan.frames import frame_function, identifying_frame, is_interceptor, is_plumbing, plain_symbol
from python_tsan.tsan.parser import parse_log


@pytest.mark.parametrize(
    ("symbol", "plain"),
    [
        ("main", "main"),
        ("worker(int, char const*)", "worker"),
        ("ns::Class<int>::method(std::vector<int, std::allocator<int> >&) const", "ns::Class::method"),
        ("ns::Class<int>::method(std::vector<int, std::allocator<int>>&) const &", "ns::Class::method"),
        ("void push<int>(int)", "push"),
        ("main::$_0::operator()() const", "operator{call}"),
        ("main::{lambda(int)#1}::operator()(int) const", "operator{call}"),
        ("main::'lambda0'(int)::operator()(int) const", "operator{call}"),
        ("(anonymous namespace)::careful()", "careful"),
        ("std::ostream& operator<< <char>(std::ostream&, char)", "operator{ltlt}"),
        ("A::operator->() const", "A::operator{-gt}"),
        ("operator new[](unsigned long)", "operator{new[]}"),
        ("f[abi:cxx11](int)", "f"),
        ("f(int) [clone .isra.0]", "f"),
        ("f(int) (.constprop.0)", "f"),
        ("f.part.1", "f"),
        ("alloc::sync::Arc<T>::drop::h0123456789abcdef", "alloc::sync::Arc::drop"),
        ("foo(int)::counter", "foo::counter"),
        ("", ""),
    ],
)
def test_plain_symbols(symbol, plain):
    assert plain_symbol(symbol) == plain


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (Frame(index=0, symbol="pthread_create", module="race"), True),
        (Frame(index=0, symbol="operator new(unsigned long)", module="race"), True),
        (Frame(index=0, symbol="memcpy", file="../tsan/tsan_interceptors_posix.cpp", module="libtsan.so.2"), True),
        (Frame(index=0, symbol="__interceptor_read", module="race"), True),
        (Frame(index=0, symbol="__tsan_atomic32_load", module="race"), True),
        (Frame(index=0, symbol="read", file="/src/reader.cpp", line=3, module="race"), False),
        (Frame(index=0, symbol="reader", module="race"), False),
        (Frame(index=0, symbol="semantic_check", module="race"), False),
        (Frame(index=0, symbol="strategy", module="race"), False),
        (Frame(index=0, symbol="main", file="/src/a.cpp", module="race"), False),
        (Frame(index=0, symbol="PyThread_acquire_lock", module="libpython3.12.so"), False),
    ],
)
def test_interceptors(frame, expected):
    assert is_interceptor(frame) is expected


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (Frame(index=0, symbol="std::vector<int>::size() const"), True),
        (Frame(index=0, symbol="__gthread_mutex_lock", file="/usr/include/x86_64-linux-gnu/c++/12/bits/gthr.h"), True),
        (Frame(index=0, symbol="_Py_DECREF", file="./Include/object.h"), True),
        (Frame(index=0, symbol="dict_set_item", file="Objects/dictobject.c"), False),
        (Frame(index=0, symbol="f(std::vector<int>&)", file="/src/f.cpp"), False),
    ],
)
def test_plumbing(frame, expected):
    assert is_plumbing(frame) is expected


def stack(*symbols):
    return Stack(
        frames=tuple(
            Frame(index=i, symbol=s, file="" if s == "memcpy" else "/s.cpp", module="m", offset=i)
            for i, s in enumerate(symbols)
        )
    )


def access(where):
    return Access(operation=Operation.WRITE, atomic=False, size=8, address=1, thread=1, main_thread=False, stack=where)


def test_frame_function_skips_interceptors_only():
    assert frame_function(access(stack("memcpy", "std::copy()", "work()"))) == "std::copy()"
    assert frame_function(access(stack("memcpy"))) == "memcpy"
    assert frame_function(access(Stack(restored=False))) == ""
    unnamed = Stack(frames=(Frame(index=0, module="lib.so", offset=16),))
    assert frame_function(access(unnamed)) == "lib.so+0x10"


def test_the_identifying_frame_skips_plumbing_too():
    assert identifying_frame(stack("memcpy", "std::copy()", "work()")).symbol == "work()"
    assert identifying_frame(stack("std::copy()")).symbol == "std::copy()"
    assert identifying_frame(None) is None


BLOCK = """==================
WARNING: ThreadSanitizer: data race (pid=100)
  Write of size 8 at 0x7b0400000000 by thread T1 (mutexes: write M3):
    #0 add(int) /home/ann/src/a.cpp:3:5 (prog+0x10) (BuildId: aaaa)

  Previous read of size 8 at 0x7b0400000000 by thread T2:
    #0 sum() /home/ann/src/b.cpp:9:5 (prog+0x20) (BuildId: aaaa)

  Location is global 'g_sum' of size 8 at 0x7b0400000000 (prog+0x30)

SUMMARY: ThreadSanitizer: data race /home/ann/src/a.cpp:3:5 in add(int)
==================
"""


def print_of(text):
    (finding,) = parse_log(text).findings
    return fingerprint(finding)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pid=100", "pid=7"),
        ("0x7b0400000000", "0x7fff00000001"),
        ("thread T1", "main thread"),
        ("T2", "T77"),
        ("BuildId: aaaa", "BuildId: bbbb"),
        (" (BuildId: aaaa)", ""),
        (":3:5", ":3"),
        (":3:5", ":40:7"),
        ("/home/ann/src", "C:\\ben"),
        ("+0x10", "+0x1111"),
        (" (mutexes: write M3)", ""),
        ("Write of", "Atomic write of"),
        ("Previous read", "Previous write"),
        ("add(int)", "add(int) [clone .isra.0]"),
    ],
)
def test_circumstances_leave_a_fingerprint_alone(old, new):
    assert old in BLOCK
    assert print_of(BLOCK.replace(old, new)) == print_of(BLOCK)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data race", "heap-use-after-free"),
        ("add(int)", "remove(int)"),
        ("sum()", "total()"),
        ("/b.cpp", "/c.cpp"),
        ("g_sum", "g_total"),
    ],
)
def test_other_code_is_another_fingerprint(old, new):
    assert old in BLOCK
    assert print_of(BLOCK.replace(old, new)) != print_of(BLOCK)


def test_the_order_of_the_accesses_does_not_count():
    swapped = re.sub(r"add\(int\) (\S+)/a.cpp", r"SUM \1/b.cpp", BLOCK)
    swapped = re.sub(r"sum\(\) (\S+)/b.cpp", r"add(int) \1/a.cpp", swapped).replace("SUM", "sum()")
    assert "#0 sum() /home/ann/src/b.cpp:3:5" in swapped
    assert print_of(swapped) == print_of(BLOCK)


def test_a_fingerprint_is_sixteen_hexadecimal_digits():
    assert re.fullmatch(r"[0-9a-f]{16}", print_of(BLOCK))


def test_identity_is_readable():
    (finding,) = parse_log(BLOCK).findings
    assert identity(finding) == ("v1", "data race", "add a.cpp", "sum b.cpp", "global g_sum")


@settings(deadline=None, max_examples=100)
@given(finding=findings(), shift=st.integers(min_value=1, max_value=10**6))
def test_addresses_and_pids_never_count(finding, shift):
    (read,) = parse_log(print_finding(finding)).findings
    moved = replace(
        finding,
        pid=finding.pid + shift,
        accesses=tuple(replace(access, address=access.address + shift) for access in finding.accesses),
        threads=tuple(replace(thread, tid=thread.tid + shift, id=thread.id + shift) for thread in finding.threads),
    )
    (other,) = parse_log(print_finding(moved)).findings
    assert fingerprint(read) == fingerprint(other)


def parsed():
    (finding,) = parse_log(BLOCK).findings
    return finding


def with_frame(**parts):
    """Return the identity of a finding of which one access has this frame."""
    frame = Frame(index=0, **parts)
    return identity(replace(parsed(), accesses=(access(Stack(frames=(frame,))),), locations=()))[2:]


def test_a_frame_is_spelled_by_symbol_and_file_else_module_else_offset():
    assert with_frame(symbol="f(int)", file="C:\\src\\a.cpp", module="m") == ("f a.cpp",)
    assert with_frame(symbol="f(int)", module="/lib/libx.so.1.2") == ("f libx.so",)
    assert with_frame(module="/lib/libx.so.1", offset=16) == ("libx.so+0x10",)
    assert with_frame(module="libx.so") == ("libx.so+0x0",)
    assert with_frame(file="/src/m.go") == ("m.go",)


def test_a_renamed_static_keeps_its_name_and_only_globals_count():
    (place,) = parsed().locations
    assert identity(replace(parsed(), locations=(replace(place, name="g_sum.lto_priv.0"),)))[-1] == "global g_sum"
    unnamed = replace(place, name="")
    heap = replace(place, kind=LocationKind.HEAP)
    assert identity(replace(parsed(), locations=(unnamed, heap)))[-1] == "sum b.cpp"


def test_a_title_that_is_not_known_is_taken_as_printed():
    assert identity(replace(parsed(), kind=Kind.UNRECOGNISED, title="quantum race"))[1] == "quantum race"
    assert identity(replace(parsed(), title="other words"))[1] == "data race"


def test_stacks_without_accesses_keep_their_order_and_threads_count_once():
    bare = replace(parsed(), accesses=(), threads=(), mutexes=(), stacks=(), locations=())
    stacks = replace(bare, stacks=(stack("z()"), stack("a()"), stack("z()")))
    assert [line.split()[0] for line in identity(stacks)[2:]] == ["z", "a", "z"]
    made = [
        Thread(id=number, name="", tid=None, status=ThreadStatus.RUNNING, stack=stack(name))
        for number, name in enumerate(("z()", "a()", "z()"))
    ]
    assert [line.split()[0] for line in identity(replace(bare, threads=tuple(made)))[2:]] == ["a", "z"]
    twice = replace(bare, accesses=(access(stack("z()")), access(stack("z()"))), threads=tuple(made))
    assert [line.split()[0] for line in identity(twice)[2:]] == ["z", "z"]


def test_a_recorded_lock_is_known_by_its_name_or_by_the_place_that_made_it():
    named = Mutex(id=1, kind="mutex", name="Service::mutex_<int>", stack=stack("made()"))
    unnamed = Mutex(id=2, kind="GIL", stack=stack("made()"))
    reported = Mutex(id=3, address=16, stack=stack("made()"))
    lines = identity(replace(parsed(), mutexes=(named, unnamed, reported)))
    without = identity(replace(parsed(), mutexes=(reported,)))
    assert lines[: len(without)] == without
    place = identity(replace(parsed(), accesses=(access(stack("made()")),), locations=(), mutexes=()))[2]
    assert lines[len(without) :] == (f"lock GIL {place}", "lock mutex Service::mutex_")


def test_any_symbol_has_a_fingerprint():
    odd = replace(parsed(), accesses=(access(stack("\ud800")),))
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint(odd))


def test_each_acquisition_of_a_deadlock_counts_although_its_threads_are_named():
    made = Thread(id=1, name="", tid=None, status=ThreadStatus.RUNNING, stack=stack("main()"))
    taken = [
        Acquisition(mutex=number, holding=3 - number, thread=1, main_thread=False, stack=stack("lock()"))
        for number in (1, 2)
    ]
    deadlock = replace(parsed(), accesses=(), locations=(), acquisitions=tuple(taken), threads=(made,))
    assert [line.split()[0] for line in identity(deadlock)[2:]] == ["lock", "lock"]
