"""Turn what a recorder saw of the C API's contract being broken into findings. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan.locks.model import GilSight, Rule
from python_tsan.locks.naming import Namer, raw_line
from python_tsan.render.names import place_of
from python_tsan.result.model import KeptReference
from python_tsan.tsan.finding import UNRESTORED, Finding, Kind, Location, LocationKind, Source, Stack
from python_tsan.tsan.frames import plain_symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.locks.model import LockTrace, Misuse, Variable
    from python_tsan.locks.naming import Lookup

# Up to 3.11 all threads share one current thread state, so that a call without the GIL is not one without a state; it
# is the same mistake.
KINDS = {
    Rule.NOT_INITIALIZED: Kind.API_NOT_INITIALIZED,
    Rule.AFTER_FINALIZATION: Kind.API_AFTER_FINALIZATION,
    Rule.NO_THREAD_STATE: Kind.API_NOT_ATTACHED,
    Rule.GIL_NOT_HELD: Kind.API_NOT_ATTACHED,
    Rule.ENDED_ATTACHED: Kind.THREAD_ENDED_ATTACHED,
    Rule.NEVER_RELEASED: Kind.NEVER_RELEASED,
    Rule.NEVER_DELETED: Kind.NEVER_DELETED,
    Rule.ATTACHED_TWICE: Kind.ATTACHED_TWICE,
    Rule.UNMATCHED_RELEASE: Kind.UNMATCHED_RELEASE,
    Rule.INTERPRETER_NEVER_ENDED: Kind.NEVER_ENDED,
    Rule.INSIDE_AT_FINALIZATION: Kind.INSIDE_AT_FINALIZATION,
    Rule.OTHER_INTERPRETER: Kind.OTHER_INTERPRETER,
    Rule.ERROR_SET: Kind.EXCEPTION_SET,
    Rule.ERROR_LOST: Kind.EXCEPTION_LOST,
}
# CPython's documentation of free-threaded builds names these in place of what returns a borrowed reference.
_INSTEAD = {
    "PyDict_GetItem": "PyDict_GetItemRef",
    "PyDict_GetItemString": "PyDict_GetItemStringRef",
    "PyDict_GetItemWithError": "PyDict_GetItemRef",
    "PyDict_SetDefault": "PyDict_SetDefaultRef",
    "PyList_GetItem": "PyList_GetItemRef",
    "PyWeakref_GetObject": "PyWeakref_GetRef",
}
_ENDINGS = {
    Kind.API_NOT_INITIALIZED: "called before Python is initialized",
    Kind.API_AFTER_FINALIZATION: "called after Python is finalized",
    Kind.API_NOT_ATTACHED: "called without the GIL",
    Kind.ATTACHED_TWICE: "called with a thread state attached",
    Kind.OTHER_INTERPRETER: "called with an object of another interpreter",
    Kind.EXCEPTION_SET: "called with an exception set",
}
# What PY_SSIZE_T_CLEAN makes of a function up to 3.12: _PyObject_CallMethod_SizeT.
_PY_SSIZE_T = re.compile(r"^_(Py\w+)_SizeT$")
# Reported by the thread that finalizes Python, which has nothing to do with it.
_LEFT = {Rule.NEVER_DELETED, Rule.INTERPRETER_NEVER_ENDED, Rule.INSIDE_AT_FINALIZATION}


def misuse_findings(trace: LockTrace, file: str, lookup: Lookup) -> Iterator[tuple[Finding, int]]:
    """Yield a finding for each place and time that a rule was broken, and how often it was broken there.

    ``file`` is the recording's name.
    """
    broken = [each for each in trace.misuses if each.rule in KINDS]
    namer = Namer(trace, lookup)
    namer.learn(stack for each in broken for stack in (each.stack, each.last_place, namer.threads[each.thread].stack))
    variables = {each.variable for each in broken if each.variable}
    names = _names_of(variables, lookup)
    for misuse in broken:
        name = names.get(misuse.variable, "") if misuse.variable else ""
        yield _finding(trace, misuse, file, namer, name), misuse.count


def references_kept(trace: LockTrace, lookup: Lookup) -> Iterator[KeptReference]:
    """Yield the borrowed references that a function kept over a release of the GIL, and then used.

    Where another function uses the object, or the functions are not known, it may have a reference of its own.
    """
    kept = [each for each in trace.misuses if each.rule is Rule.BORROWED_KEPT and each.last in _INSTEAD]
    namer = Namer(trace, lookup)
    namer.learn(stack for each in kept for stack in (each.stack, each.last_place))
    for each in kept:
        borrowed, used = (namer.place(place).stack for place in (each.last_place, each.stack))
        function = (borrowed.frames[-1].module, borrowed.frames[-1].symbol) if borrowed.frames else ("", "")
        if function[1] and function in {(frame.module, frame.symbol) for frame in used.frames}:
            yield KeptReference(
                function=each.last,
                place=place_of(borrowed),
                used_by=each.function,
                used_at=place_of(used),
                instead=_INSTEAD[each.last],
                count=each.count,
            )


def _names_of(variables: Iterable[Variable], lookup: Lookup) -> dict[Variable, str]:
    """Return the names of those that have a symbol, an offset within one left out."""
    places = {each: (each.module, each.offset) for each in variables}
    static = lookup.variables([place for each, place in places.items() if not each.of_thread])
    of_thread = lookup.thread_variables([place for each, place in places.items() if each.of_thread])
    found = {each: (of_thread if each.of_thread else static).get(place, "") for each, place in places.items()}
    return {each: plain_symbol(name) for each, name in found.items() if name}


def _finding(trace: LockTrace, misuse: Misuse, file: str, namer: Namer, variable: str) -> Finding:
    kind = KINDS[misuse.rule]
    function = _PY_SSIZE_T.sub(r"\1", misuse.function)
    title = f"{function} {_ENDINGS[kind]}" if kind in _ENDINGS else kind.value
    if trace.gil is GilSight.FREE_THREADED:
        title = title.replace("without the GIL", "without an attached thread state")
    who = "the main thread" if namer.is_main(misuse.thread) else f"thread T{misuse.thread}"
    stack = namer.place(misuse.stack).stack
    captioned = replace(stack if stack.frames else UNRESTORED, caption=_caption(misuse, who))
    # Who noticed that a thread state is left has nothing to do with it.
    innocent = namer.is_main(misuse.thread) or misuse.rule in _LEFT - {Rule.INSIDE_AT_FINALIZATION}
    threads = () if innocent else (namer.thread(misuse.thread),)
    locations = (_location(misuse.variable, variable),) if misuse.variable and variable else ()
    notes = tuple(_notes(misuse, namer))
    return Finding(
        kind=kind,
        title=title,
        pid=trace.pid,
        source=Source(file=file, first_line=1, last_line=1),
        raw="\n".join((title, *_lines(captioned), *(f"  {each.text}" for each in locations), *notes)),
        stacks=(captioned,),
        locations=locations,
        threads=threads,
        summary=title,
        notes=notes,
    )


def _location(variable: Variable, name: str) -> Location:
    storage = "thread_local variable" if variable.of_thread else "variable"
    return Location(
        kind=LocationKind.GLOBAL,
        text=f"the object is that of the {storage} {name}",
        name=name,
        module=variable.module,
        offset=variable.offset,
    )


def _caption(misuse: Misuse, who: str) -> str:
    match misuse.rule:
        case Rule.NEVER_RELEASED:
            return f"the last {misuse.function} of {who}, which has no PyGILState_Release"
        case Rule.ENDED_ATTACHED:
            return f"{who} took the GIL, and ended with it"
        case Rule.NEVER_DELETED:
            return "the thread state was made here, by a thread that has ended"
        case Rule.INTERPRETER_NEVER_ENDED:
            return "the interpreter was made here"
        case Rule.INSIDE_AT_FINALIZATION:
            missing = "release" if misuse.function == "PyGILState_Ensure" else "PyThreadState_DeleteCurrent"
            return f"the first {misuse.function} of {who} that has no {missing}"
        case _:
            return f"the call by {who}"


def _notes(misuse: Misuse, namer: Namer) -> Iterator[str]:
    """Say what the thread had last done with its thread state, where that is no part of the finding itself."""
    if KINDS[misuse.rule] not in _ENDINGS or misuse.rule is Rule.ERROR_SET:
        return
    if not misuse.last:
        yield "the thread had not attached a thread state before"
        return
    frame = next(iter(namer.place(misuse.last_place).stack.frames), None)
    place = "" if frame is None else f" in {frame.symbol}{f' at {frame.file}:{frame.line}' if frame.file else ''}"
    yield f"before, the thread called {misuse.last}{place}"


def _lines(stack: Stack) -> Iterator[str]:
    yield f"  {stack.caption}:"
    yield from (f"    {raw_line(frame)}" for frame in stack.frames)
