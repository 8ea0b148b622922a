"""Hypothesis strategies for findings of every kind, as far as the runtime can print them."""

from __future__ import annotations

from hypothesis import strategies as st
from report_samples import OF_THE_RUNTIME

from python_tsan.tsan.finding import (
    UNRESTORED,
    Access,
    Acquisition,
    Dialect,
    Finding,
    Frame,
    HeldMutex,
    Kind,
    Location,
    LocationKind,
    Mutex,
    Operation,
    Source,
    Stack,
    Thread,
    ThreadStatus,
)

SOURCE = Source(file="log", first_line=2, last_line=0)
SYMBOLS = st.sampled_from(
    [
        "",
        "main",
        "worker(int)",
        "operator new(unsigned long)",
        "Ledger<unsigned long>::operator()(unsigned long, int) const",
        "(anonymous namespace)::careful(char const*)",
        "main::$_0::operator()() const",
        "main::{lambda(int)#1}::operator()(int) const",
        "std::ostream& operator<< <char>(std::ostream&, char const (&) [4])",
        "Fraction operator/(Fraction const&, Fraction const&)",
        "void (*make(int))(double)",
        "f(void (*)()) [clone .isra.0]",
        "std::function<void (int, char)>::operator()(int, char) const",
        "core::ptr::drop_in_place<T>::h0123456789abcdef",
    ]
)
FILES = st.sampled_from(
    ["", "/src/race.cpp", "/src/my folder/race.cpp", "../csu/libc-start.c", "csu/../sysdeps/start.h", "race.c"]
)
MODULES = st.sampled_from(["race", "libtsan.so.2", "my program", "libpython3.12d.so.1.0", "[vdso]", "plugin (1).so"])
ADDRESSES = st.integers(min_value=1, max_value=2**47)
NUMBERS = st.integers(min_value=0, max_value=10**6)
NAMES = st.text(alphabet="abc XYZ-_/:.'()", max_size=15).map(str.strip)


@st.composite
def frames(draw, index):
    file = draw(FILES)
    symbol = draw(SYMBOLS)
    line = draw(NUMBERS) if file and symbol else 0
    module = draw(MODULES)
    return Frame(
        index=index,
        symbol=symbol,
        file=file if symbol else "",
        line=line,
        column=draw(NUMBERS) if line else 0,
        module=module,
        offset=draw(ADDRESSES),
        build_id=draw(st.sampled_from(["", "1e4fc2e1030b579d"])),
    )


@st.composite
def stacks(draw):
    depth = draw(st.integers(min_value=0, max_value=4))
    return Stack(frames=tuple(draw(frames(index)) for index in range(depth))) if depth else UNRESTORED


@st.composite
def threads_of(draw):
    main = draw(st.booleans())
    return (0 if main else draw(st.integers(min_value=1, max_value=999))), main


@st.composite
def accesses(draw, *, previous, object_type=""):
    thread, main = draw(threads_of())
    held = st.builds(HeldMutex, id=NUMBERS, write=st.booleans())
    return Access(
        operation=draw(st.sampled_from(Operation)),
        atomic=False if object_type else draw(st.booleans()),
        size=None if object_type else draw(st.sampled_from([1, 2, 4, 8, 16, 4096])),
        address=draw(ADDRESSES),
        thread=thread,
        main_thread=main,
        mutexes=tuple(draw(st.lists(held, max_size=3))),
        previous=previous,
        object_type=object_type,
        stack=draw(stacks()),
    )


@st.composite
def locations(draw):
    kind = draw(st.sampled_from(LocationKind))
    thread, main = draw(threads_of())
    match kind:
        case LocationKind.GLOBAL:
            return Location(
                kind=kind,
                text="",
                name=draw(
                    st.sampled_from(["", "g_total", "(anonymous namespace)::g", "f(int)::it's", "std::map<int, int>"])
                ),
                size=draw(st.sampled_from([None, 1, 8])),
                address=draw(ADDRESSES),
                module=draw(MODULES),
                offset=draw(ADDRESSES),
            )
        case LocationKind.HEAP | LocationKind.EXTERNAL:
            name = "" if kind is LocationKind.HEAP else draw(st.sampled_from(["Swift variable", "Python list"]))
            parts = {"name": name, "size": draw(NUMBERS), "address": draw(ADDRESSES), "stack": draw(stacks())}
        case LocationKind.FILE_DESCRIPTOR:
            parts = {"descriptor": draw(NUMBERS), "closed": draw(st.booleans()), "stack": draw(stacks())}
        case _:
            parts = {}
    return Location(kind=kind, text="", thread=thread, main_thread=main, **parts)


@st.composite
def threads(draw):
    worker = draw(st.booleans())
    parent, main = (None, False) if worker else draw(threads_of())
    return Thread(
        id=draw(st.integers(min_value=1, max_value=999)),
        name=draw(NAMES),
        tid=draw(NUMBERS),
        status=draw(st.sampled_from(ThreadStatus)),
        parent=parent,
        parent_main=main,
        worker=worker,
        stack=None if worker else draw(stacks()),
    )


@st.composite
def mutexes(draw):
    if draw(st.booleans()):
        return Mutex(id=draw(NUMBERS), destroyed=True)
    return Mutex(id=draw(NUMBERS), address=draw(ADDRESSES), stack=draw(stacks()))


@st.composite
def cycles(draw):
    ids = draw(st.lists(NUMBERS, min_size=2, max_size=4, unique=True))
    both = draw(st.booleans())
    edges = []
    for holding, mutex in zip(ids, ids[1:] + ids[:1], strict=True):
        thread, main = draw(threads_of())
        edges.append(
            Acquisition(
                mutex=mutex,
                holding=holding,
                thread=thread,
                main_thread=main,
                stack=draw(stacks()),
                holding_stack=draw(stacks()) if both else None,
            )
        )
    return {
        "mutexes": tuple(Mutex(id=number, address=draw(ADDRESSES)) for number in ids),
        "cycle": tuple(ids),
        "acquisitions": tuple(edges),
    }


ACCESS_KINDS = {Kind.RACE, Kind.VPTR_RACE, Kind.USE_AFTER_FREE, Kind.VPTR_USE_AFTER_FREE}


@st.composite
def findings(draw):
    kind = draw(st.sampled_from(sorted(OF_THE_RUNTIME, key=lambda kind: kind.name)))
    parts = {}
    title = kind.value
    if kind in ACCESS_KINDS:
        parts["accesses"] = (draw(accesses(previous=False)), draw(accesses(previous=True)))
        parts["sleep"] = draw(st.none() | stacks())
    elif kind is Kind.EXTERNAL_RACE:
        title = draw(
            st.sampled_from(["race on external object", "Swift access race", "race on Python list", "my words"])
        )
        what = draw(st.sampled_from(["Swift variable", "external object"]))
        parts["accesses"] = tuple(draw(accesses(previous=late, object_type=what)) for late in (False, True))
    elif kind is Kind.DEADLOCK:
        parts |= draw(cycles())
        parts["notes"] = draw(st.sampled_from([(), ("Hint: use TSAN_OPTIONS=second_deadlock_stack=1 to see more",)]))
    elif kind is Kind.THREAD_LEAK:
        parts["leaked_threads"] = draw(st.integers(min_value=1, max_value=50))
    else:
        parts["stacks"] = tuple(draw(st.lists(stacks(), min_size=1, max_size=3)))
        if kind is Kind.ERRNO_IN_SIGNAL:
            parts["signal"] = draw(st.integers(min_value=1, max_value=64))
    if kind not in {Kind.THREAD_LEAK, Kind.DEADLOCK}:
        parts["locations"] = tuple(draw(st.lists(locations(), max_size=2)))
        parts["mutexes"] = tuple(draw(st.lists(mutexes(), max_size=2)))
    parts["threads"] = tuple(draw(st.lists(threads(), min_size=kind is Kind.THREAD_LEAK, max_size=2)))
    summary = draw(st.sampled_from(["", f"{title} /src/race.cpp:3:5 in worker(int)"]))
    return Finding(kind=kind, title=title, pid=draw(NUMBERS), source=SOURCE, raw="", summary=summary, **parts)


@st.composite
def go_findings(draw):
    def go_stack():
        depth = draw(st.integers(min_value=0, max_value=3))
        symbols = st.sampled_from(["main.main", "main.(*T).Add", "main.main.func1", "sync.Map[...].Load"])
        made = tuple(
            Frame(index=i, symbol=draw(symbols), file="/src/main.go", line=draw(NUMBERS), offset=draw(ADDRESSES))
            for i in range(depth)
        )
        return Stack(frames=made) if made else UNRESTORED

    def go_access(*, previous):
        thread, main = draw(threads_of())
        return Access(
            operation=draw(st.sampled_from(Operation)),
            atomic=False,
            size=None,
            address=draw(ADDRESSES),
            thread=thread,
            main_thread=main,
            previous=previous,
            stack=go_stack(),
        )

    goroutine = Thread(id=7, name="", tid=None, status=draw(st.sampled_from(ThreadStatus)), stack=go_stack())
    return Finding(
        kind=Kind.RACE,
        title="DATA RACE",
        pid=None,
        source=SOURCE,
        raw="",
        dialect=Dialect.GO,
        accesses=(go_access(previous=False), go_access(previous=True)),
        threads=(goroutine,),
    )
