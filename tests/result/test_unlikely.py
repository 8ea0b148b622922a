"""A finding is set aside when every access is a blind library's, and kept as soon as one may be the user's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from python_tsan.result.blind_spots import BlindSpot, Measured, Treatment, constructs
from python_tsan.result.unlikely import blind_spot_of, construct_of
from python_tsan.tsan.finding import Acquisition, Kind, Mutex
from python_tsan.tsan.parser import parse_log

SPOT = BlindSpot(
    name="lib",
    title="Lib",
    treatment=Treatment.SET_ASIDE,
    false="races",
    why="futexes",
    helps="",
    objects=("libblind.so*",),
    measured=(Measured(version="1", runtime="gcc 12", on="2026-11-30", seen=""),),
)
BLIND = {"libblind.so": SPOT}
WITH_ALLOCATOR = {"libblind.so": replace(SPOT, allocates=True)}

MEMCPY = "memcpy <null> (prog+0x5e91e)"  # as clang's runtime, inside the program, names its interceptor
DELETE = "operator delete(void*) ../../src/libsanitizer/tsan/tsan_new_delete.cpp:126 (libtsan.so.2+0x868bd)"
LIB = "<null> <null> (libblind.so.7+0x799838)"
TEMPLATE = "std::_Sp_counted_base<(__gnu_cxx::_Lock_policy)2>::_M_release() <null> (libblind.so.7+0x54e09)"
STRING = "std::string::_Rep::_S_create(unsigned long) <null> (libstdc++.so.6+0xebc48)"
C_API = "PyBytes_FromStringAndSize /cpython/Objects/bytesobject.c:159 (libpython3.13d.so.1.0+0x18212d)"
LOOP = "_PyEval_EvalFrameDefault /cpython/Python/generated_cases.c.h:813 (libpython3.13d.so.1.0+0x53e071)"
YOURS = "worker(int) /home/me/main.cpp:11:19 (prog+0xe7e43)"
YOUR_STRING = "std::string::append(char const*) /usr/include/c++/12/bits/basic_string.h:99 (prog+0xe7e99)"
OTHER = "<null> <null> (libother.so.1+0x11)"
NUMPY = "<null> <null> (_multiarray_umath.cpython-313-x86_64-linux-gnu.so+0x18b0f9)"


def finding(one, other, *, memory=(), thread=(), kind="data race"):
    """Return the finding of two stacks; ``memory`` is where the block was allocated, ``thread`` made thread 1."""

    def stack(frames):
        lines = [f"    #{number} {frame}" for number, frame in enumerate(frames)]
        return "\n".join(lines or ["    [failed to restore the stack]"])

    parts = [f"  Write of size 8 at 0x720c00003210 by thread T1:\n{stack(one)}"]
    parts += [f"  Previous write of size 8 at 0x720c00003210 by thread T2:\n{stack(other)}"]
    if memory:
        parts += [f"  Location is heap block of size 64 at 0x720c00003200 allocated by thread T2:\n{stack(memory)}"]
    if thread:
        parts += [f"  Thread T1 'w' (tid=11, running) created by main thread at:\n{stack(thread)}"]
    text = "\n\n".join(parts)
    (only,) = parse_log(
        f"{'=' * 18}\nWARNING: ThreadSanitizer: {kind} (pid=1)\n{text}\n\n{'=' * 18}\n", "tsan.1"
    ).findings
    return only


def spot(*args, blind=BLIND, **parts):
    found = blind_spot_of(finding(*args, **parts), blind)
    return found and found.name


# The last three have lost the interceptor's frame, as GCC's runtime does where one call races in several places.
@pytest.mark.parametrize(
    "side",
    [
        [MEMCPY, LIB],
        [DELETE, LIB],
        [DELETE, TEMPLATE],
        [MEMCPY, STRING, LIB, YOURS],
        [LIB, LOOP, YOURS],
        [TEMPLATE],
        [STRING, LIB, YOURS],
    ],
)
def test_two_accesses_of_a_blind_library_are_set_aside(side):
    assert spot([MEMCPY, LIB, LOOP, YOURS], side) == "lib"
    assert spot(side, [MEMCPY, LIB]) == "lib"


@pytest.mark.parametrize(
    "side",
    [
        [YOURS],
        [MEMCPY, YOURS],
        [YOURS, LIB],
        [MEMCPY, YOURS, LIB],
        [MEMCPY, STRING, YOURS],
        [MEMCPY, STRING, YOUR_STRING, YOURS],
        [YOUR_STRING, YOURS],
        [MEMCPY, OTHER],
        [MEMCPY, NUMPY, LOOP],
        [C_API, YOURS],
        [MEMCPY, C_API, LOOP, LIB],
        [LOOP, LIB],
        [STRING, YOURS],
        [],
    ],
    ids=lambda side: " < ".join(frame.split()[0] for frame in side) or "not restored",
)
def test_a_finding_is_kept_if_one_access_may_be_the_users_or_is_instrumented(side):
    memory = [MEMCPY, LIB]
    assert spot([MEMCPY, LIB], side, memory=memory) is None
    assert spot(side, [MEMCPY, LIB], memory=memory) is None
    assert spot(side, side, memory=memory) is None


def test_the_c_library_that_cpython_calls_is_no_hidden_caller():
    assert spot([MEMCPY, LIB], [MEMCPY, "<null> <null> (libc.so.6+0x1)", C_API, YOURS]) is None
    assert spot([MEMCPY, LIB], [MEMCPY, STRING, C_API, YOURS]) == "lib"


MALLOC = "malloc <null> (python3.13+0x61530)"
NEW = "operator new(unsigned long) <null> (libstdc++.so.6+0xa9c48)"


def test_operator_new_of_the_cxx_library_hides_its_caller_behind_cpython():
    """A program in C, such as python3, has no interceptor of operator new."""
    assert spot([MEMCPY, LIB], [MALLOC, NEW, C_API, LOOP, YOURS]) == "lib"
    assert spot([MEMCPY, LIB], [MALLOC, NEW, LIB]) == "lib"
    assert spot([MEMCPY, LIB], [MALLOC, NEW, YOURS]) is None
    assert spot([MEMCPY, LIB], [MALLOC, C_API, LOOP]) is None
    assert spot([MEMCPY, C_API, LIB], [MEMCPY, LIB], memory=[MALLOC, NEW, LOOP]) == "lib"
    assert spot([MEMCPY, C_API, LIB], [MEMCPY, LIB], memory=[MALLOC, C_API, LOOP]) is None


def test_a_copy_by_the_c_api_is_the_librarys_on_memory_that_it_allocated_alone():
    copy = [MEMCPY, C_API, LIB, LOOP, YOURS]
    assert spot(copy, [MEMCPY, LIB], memory=["malloc <null> (prog+0x61530)", LIB]) == "lib"
    assert spot(copy, [MEMCPY, LIB], memory=["malloc <null> (prog+0x61530)", YOURS]) is None
    assert spot(copy, [MEMCPY, LIB]) is None
    assert spot(copy, copy, memory=["malloc <null> (prog+0x61530)", LIB]) is None


def test_a_copy_by_the_c_api_is_the_librarys_on_memory_that_it_frees():
    copy = [MEMCPY, C_API, LIB, LOOP, YOURS]
    assert spot(copy, ["free <null> (prog+0x61530)", LIB]) == "lib"
    assert spot(copy, [DELETE, LIB]) == "lib"
    assert spot(copy, ["free <null> (prog+0x61530)", YOURS]) is None
    assert spot(copy, ["free_list <null> (prog+0x61530)", LIB]) is None


def test_an_access_without_a_stack_is_the_librarys_on_memory_of_its_own_allocator_alone():
    own = {"blind": WITH_ALLOCATOR}
    assert spot([MEMCPY, LIB], [], **own) == spot([], [MEMCPY, LIB], **own) == "lib"
    assert spot([MEMCPY, LIB], []) is None
    assert spot([MEMCPY, LIB], [], memory=["malloc <null> (prog+0x61530)", LIB], **own) is None
    assert spot([YOURS], [], **own) is None
    assert spot([MEMCPY, C_API, LIB], [], **own) is None
    assert spot([MEMCPY, STRING], [], **own) is None
    assert spot([], [], **own) is None


def test_a_thread_of_the_librarys_makes_what_has_no_caller_the_librarys():
    bare = [MEMCPY, STRING]
    made = ["pthread_create <null> (prog+0x63091)", LIB, LOOP, YOURS]
    assert spot(bare, bare) is None
    assert spot(bare, bare, thread=made) == "lib"
    assert spot(bare, bare, thread=["pthread_create <null> (prog+0x63091)", YOURS]) is None
    assert spot([MEMCPY, STRING, YOURS], bare, thread=made) is None


def test_nothing_is_set_aside_without_a_known_object():
    assert blind_spot_of(finding([MEMCPY, LIB], [MEMCPY, LIB]), {}) is None


@pytest.mark.parametrize("kind", ["heap-use-after-free", "data race on vptr (ctor/dtor vs virtual call)", "a new kind"])
def test_only_the_kinds_of_the_entry_are_set_aside(kind):
    assert spot([MEMCPY, LIB], [MEMCPY, LIB], kind=kind) is None


STACKS = st.lists(
    st.sampled_from([MEMCPY, DELETE, LIB, TEMPLATE, STRING, C_API, LOOP, YOURS, YOUR_STRING, OTHER, NUMPY]), max_size=5
)
PLANTED = st.sampled_from([YOURS, YOUR_STRING, OTHER, NUMPY])
BEFORE = st.lists(st.sampled_from([MEMCPY, DELETE]), max_size=2)


@given(other=STACKS, mine=st.tuples(BEFORE, PLANTED, STACKS), memory=STACKS, thread=STACKS)
def test_a_planted_race_stays_with_any_other_side(other, mine, memory, thread):
    """The first frame that is no interceptor is the user's: such an access is never the library's."""
    before, planted, below = mine
    mine = [*before, planted, *below]
    assert spot(mine, other, memory=memory, thread=thread) is None
    assert spot(other, mine, memory=memory, thread=thread) is None


LOAD = "std::_Sp_atomic<std::shared_ptr<int> >::load(std::memory_order) const /usr/include/c++/12/a.h:500 (prog+0x1)"
STORE = "std::_Sp_atomic<std::shared_ptr<int> >::swap(std::shared_ptr<int>&) /usr/include/c++/12/a.h:510 (prog+0x2)"
SWAP = "std::enable_if<true, void>::type std::swap<int*>(int*&, int*&) /usr/include/c++/12/bits/move.h:205 (prog+0x3)"
END = "std::_Sp_atomic<std::shared_ptr<int> >::~_Sp_atomic() /usr/include/c++/12/a.h:400 (prog+0x4)"
COUNTER = "  Location is global '{}' of size 24 at 0x720c00003200 (prog+0x1516b90)"


def construct(*stacks, where=""):
    text = finding(*stacks).raw
    if where:
        text = text.rstrip("\n=") + f"\n\n{where}\n\n{'=' * 18}\n"
    (only,) = parse_log(text if text.startswith("=") else f"{'=' * 18}\n{text}", "tsan.1").findings
    found = construct_of(only, constructs())
    return found and found.name


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ([SWAP, STORE, YOURS], [LOAD, YOURS], "atomic-shared-ptr"),
        ([STORE, YOURS], [YOURS], None),
        ([END, YOURS], [LOAD, YOURS], None),
        ([YOURS, LOAD], [LOAD, YOURS], None),
        ([SWAP, YOURS], [LOAD, YOURS], None),
    ],
)
def test_a_class_of_the_library_makes_each_access_or_the_finding_is_kept(one, other, found):
    assert construct(one, other) == found


@pytest.mark.parametrize(
    ("name", "found"), [("__llvm_gcov_ctr", "gcov-counters"), ("__llvm_gcov_ctr.2", "gcov-counters"), ("g_total", None)]
)
def test_counters_of_the_compiler_are_set_aside_in_functions_of_yours(name, found):
    assert construct([YOURS], [YOURS], where=COUNTER.format(name)) == found


CYCLE = """\
==================
WARNING: ThreadSanitizer: lock-order-inversion (potential deadlock) (pid=7)
  Cycle in lock order graph: M0 (0x1) => M1 (0x2) => M0

  Mutex M1 acquired here while holding mutex M0 in thread T1:
    #0 {0} <null> (prog+0x1)
    #1 one() /home/me/main.cpp:9 (prog+0x11)

  Mutex M0 previously acquired by the same thread here:
    #0 {1} <null> (prog+0x1)
    #1 one() /home/me/main.cpp:8 (prog+0x12)

  Mutex M0 acquired here while holding mutex M1 in thread T2:
    #0 {2} <null> (prog+0x1)
    #1 two() /home/me/main.cpp:19 (prog+0x13)

  Mutex M1 previously acquired by the same thread here:
    #0 {3} <null> (prog+0x1)
    #1 two() /home/me/main.cpp:18 (prog+0x14)

==================
"""
READ, WRITE = "pthread_rwlock_rdlock", "pthread_rwlock_wrlock"


def cycle(*calls, recorded=(7,), text=CYCLE):
    (only,) = parse_log(text.format(*calls), "tsan.7").findings
    found = construct_of(only, constructs(), recorded)
    return found and found.name


def test_a_cycle_of_readers_is_set_aside_where_locks_were_recorded():
    assert cycle(READ, READ, READ, READ) == "readers-in-cycle"
    assert cycle(READ, READ, READ, READ, recorded=()) is None
    assert cycle(READ, READ, READ, READ, recorded=(8,)) is None


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("call", [WRITE, "pthread_mutex_lock", "read_lock_of_mine"])
def test_a_cycle_is_kept_if_one_lock_was_taken_otherwise(place, call):
    assert cycle(*(call if each == place else READ for each in range(4))) is None


def test_a_cycle_is_kept_if_the_place_of_one_lock_is_not_printed():
    head, _, _ = CYCLE.partition("  Mutex M1 previously")
    assert cycle(READ, READ, READ, text=head + "=" * 18 + "\n") is None


LEAK = """\
==================
WARNING: ThreadSanitizer: thread leak (pid=7)
  Thread T8 (tid=32503, finished) created by main thread at:
    #0 pthread_create <null> (prog+0x5e686)
    #1 {0} /cpython/Python/thread_pthread.h:290 ({1}+0x4c71f9)

==================
"""


@pytest.mark.parametrize(
    ("function", "module", "known"),
    [
        ("do_start_joinable_thread", "libpython3.13d.so.1.0", "python-thread-handle"),
        ("do_start_joinable_thread", "prog", None),
        ("start_the_pool", "libpython3.13d.so.1.0", None),
    ],
)
def test_a_leaked_thread_is_set_aside_if_cpython_itself_started_it(function, module, known):
    assert (
        cycle(function, module, text=LEAK.replace("/cpython/Python", "/home/me") if module == "prog" else LEAK) == known
    )


@pytest.mark.parametrize(
    ("kinds", "frames", "expected"),
    [
        ((Kind.NEVER_RELEASED,), [LIB, LOOP], "lib"),
        ((Kind.NEVER_RELEASED,), [YOURS, LIB], None),
        ((Kind.RACE,), [LIB, LOOP], None),
    ],
)
def test_what_a_thread_leaves_open_is_set_aside_where_it_begins_in_a_known_library(kinds, frames, expected):
    opened = finding([YOURS], [YOURS])
    (stack, _) = (access.stack for access in finding(frames, frames).accesses)
    opened = replace(opened, kind=Kind.NEVER_RELEASED, accesses=(), stacks=(stack,))
    found = blind_spot_of(opened, {"libblind.so": replace(SPOT, kinds=kinds)})
    assert (found and found.name) == expected


@pytest.mark.parametrize(("under", "wait", "expected"), [("GIL", LIB, "lib"), ("GIL", YOURS, None), ("", LIB, None)])
def test_a_wait_under_the_gil_is_set_aside_in_a_library_whose_lock_is_free_by_then(under, wait, expected):
    gil, lock = Mutex(id=0, kind=under), Mutex(id=1, kind="semaphore")
    (waits, asks) = (access.stack for access in finding([wait], [YOURS]).accesses)
    edges = (
        Acquisition(mutex=1, holding=0, thread=1, main_thread=False, stack=waits),
        Acquisition(mutex=0, holding=1, thread=2, main_thread=False, stack=asks),
    )
    cycle = replace(
        finding([YOURS], [YOURS]), kind=Kind.POSSIBLE_DEADLOCK, accesses=(), mutexes=(gil, lock), acquisitions=edges
    )
    found = blind_spot_of(cycle, {"libblind.so": replace(SPOT, kinds=(Kind.POSSIBLE_DEADLOCK,))})
    assert (found and found.name) == expected
