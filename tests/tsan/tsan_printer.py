"""Print findings as the runtime does, so that what the parser reads can be compared with the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.tsan.finding import (
    Access,
    Dialect,
    Finding,
    Frame,
    Kind,
    Location,
    LocationKind,
    Operation,
    Stack,
    Thread,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCE = "=================="


def print_finding(finding: Finding) -> list[str]:
    """Return the lines of one block, both fences included."""
    body = _go(finding) if finding.dialect is Dialect.GO else _cxx(finding)
    return [FENCE, *body, FENCE]


def frame_line(frame: Frame) -> str:
    if frame.file:
        place = frame.file
        if frame.line:
            place += f":{frame.line}" + (f":{frame.column}" if frame.column else "")
    else:
        place = "<null>"
    module = f" ({frame.module}+{frame.offset:#x})" if frame.module else ""
    build_id = f" (BuildId: {frame.build_id})" if frame.build_id else ""
    return f"    #{frame.index} {frame.symbol or '<null>'} {place}{module}{build_id}"


def stack_lines(stack: Stack | None) -> list[str]:
    if stack is None or not stack.frames:
        return ["    [failed to restore the stack]", ""]
    return [*map(frame_line, stack.frames), ""]


def who(number: int | None, *, main: bool) -> str:
    return "main thread" if main else f"thread T{number}"


def access_line(access: Access) -> str:
    if access.object_type:
        words = {Operation.WRITE: "modifying", Operation.READ: "read-only"}[access.operation]
        what = f"access of {access.object_type}"
    else:
        words = access.side
        what = f"of size {access.size}"
    words = f"Previous {words}" if access.previous else words.capitalize()
    held = ", ".join(f"{'write' if mutex.write else 'read'} M{mutex.id}" for mutex in access.mutexes)
    mutexes = f" (mutexes: {held})" if held else ""
    return f"  {words} {what} at {access.address:#x} by {who(access.thread, main=access.main_thread)}{mutexes}:"


def location_lines(location: Location) -> Iterator[str]:
    owner = who(location.thread, main=location.main_thread)
    match location.kind:
        case LocationKind.GLOBAL:
            size = f" of size {location.size}" if location.size else ""
            place = f"({location.module}+{location.offset:#x})"
            yield f"  Location is global '{location.name or '??'}'{size} at {location.address:#x} {place}"
            yield ""
        case LocationKind.HEAP | LocationKind.EXTERNAL:
            what = location.name or "heap block"
            yield f"  Location is {what} of size {location.size} at {location.address:#x} allocated by {owner}:"
            yield from stack_lines(location.stack)
        case LocationKind.STACK | LocationKind.TLS:
            yield f"  Location is {location.kind.value} of {owner}."
            yield ""
        case LocationKind.FILE_DESCRIPTOR:
            state = "destroyed" if location.closed else "created"
            yield f"  Location is file descriptor {location.descriptor} {state} by {owner} at:"
            yield from stack_lines(location.stack)


def thread_lines(thread: Thread) -> Iterator[str]:
    name = f" '{thread.name}'" if thread.name else ""
    head = f"  Thread T{thread.id}{name} (tid={thread.tid}, {thread.status.value})"
    if thread.worker:
        yield from (f"{head} is a GCD worker thread", "")
        return
    at = " at:" if thread.stack and thread.stack.frames else ""
    yield f"{head} created by {who(thread.parent, main=thread.parent_main)}{at}"
    yield from stack_lines(thread.stack)


def _cycle_lines(finding: Finding) -> Iterator[str]:
    links = [f"M{mutex.id} ({mutex.address:#x})" for mutex in finding.mutexes]
    yield f"  Cycle in lock order graph: {' => '.join([*links, f'M{finding.mutexes[0].id}'])}"
    yield ""
    for edge in finding.acquisitions:
        thread = who(edge.thread, main=edge.main_thread)
        yield f"  Mutex M{edge.mutex} acquired here while holding mutex M{edge.holding} in {thread}:"
        yield from stack_lines(edge.stack)
        if edge.holding_stack is not None:
            yield f"  Mutex M{edge.holding} previously acquired by the same thread here:"
            yield from stack_lines(edge.holding_stack)
    yield from (f"    {note}" for note in finding.notes)


def _loose_lines(finding: Finding) -> Iterator[str]:
    if finding.signal is not None:
        yield f"  Signal {finding.signal} handler invoked at:"
    for number, stack in enumerate(finding.stacks):
        if number:
            yield "  and:"
        yield from stack_lines(stack)


def _cxx(finding: Finding) -> Iterator[str]:
    yield f"WARNING: ThreadSanitizer: {finding.title} (pid={finding.pid})"
    deadlock = finding.kind is Kind.DEADLOCK
    yield from _cycle_lines(finding) if deadlock else _loose_lines(finding)
    for access in finding.accesses:
        yield access_line(access)
        yield from stack_lines(access.stack)
    if finding.sleep:
        yield "  As if synchronized via sleep:"
        yield from stack_lines(finding.sleep)
    for location in finding.locations:
        yield from location_lines(location)
    for mutex in () if deadlock else finding.mutexes:
        if mutex.destroyed:
            yield from (f"  Mutex M{mutex.id} is already destroyed.", "")
        else:
            yield f"  Mutex M{mutex.id} ({mutex.address:#x}) created at:"
            yield from stack_lines(mutex.stack)
    for thread in finding.threads:
        yield from thread_lines(thread)
    if finding.leaked_threads > 1:
        yield from (f"  And {finding.leaked_threads - 1} more similar thread leaks.", "")
    if finding.summary:
        yield f"SUMMARY: ThreadSanitizer: {finding.summary}"


def _go_stack(stack: Stack) -> Iterator[str]:
    if not stack.frames:
        yield "  [failed to restore the stack]"
    for frame in stack.frames:
        yield f"  {frame.symbol}()"
        yield f"      {frame.file}:{frame.line} +{frame.offset:#x}"


def _go(finding: Finding) -> Iterator[str]:
    yield "WARNING: DATA RACE"
    for access in finding.accesses:
        words = f"Previous {access.side}" if access.previous else access.side.capitalize()
        by = "main goroutine" if access.main_thread else f"goroutine {access.thread}"
        yield f"{words} at {access.address:#x} by {by}:"
        yield from _go_stack(access.stack)
        yield ""
    for thread in finding.threads:
        yield f"Goroutine {thread.id} ({thread.status.value}) created at:"
        yield from _go_stack(thread.stack or Stack())
        yield ""
