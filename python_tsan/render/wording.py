"""Own the sentences about a finding that all renderings share; leave their layout and escaping to each rendering."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from python_tsan.plain_text import counted
from python_tsan.report.attribution import owner
from python_tsan.report.model import Attribution, VerdictStatus
from python_tsan.tsan.finding import Dialect, LocationKind, ThreadStatus
from python_tsan.tsan.frames import is_interceptor, is_plumbing, plain_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.report.model import Report, ReportFinding
    from python_tsan.tsan.finding import Access, Acquisition, Frame, Location, Mutex, Stack, Thread


# operator{call}, operator{lt}{lt}: how plain_symbol keeps brackets of a name apart from those of types
_OPERATOR = re.compile(r"operator\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One stack of a finding with the words above it. ``telling`` marks the stacks of the accesses and locks."""

    caption: str
    stack: Stack | None
    telling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Frames left out of a trimmed stack."""

    count: int


def conclusion(report: Report) -> str:
    """Return a report in one sentence."""
    verdict = report.verdict
    match verdict.status:
        case VerdictStatus.CLEAN:
            return f"clean: {verdict.reason}"
        case VerdictStatus.FINDINGS:
            return f"NOT clean: {verdict.reason}"
        case VerdictStatus.COULD_NOT_JUDGE:
            return f"could not judge: {verdict.reason}"
        case _:
            assert_never(verdict.status)


def tally(report: Report) -> str:
    """Say what was read: ``3 findings in 40 blocks of 2 files; 5 lines not understood``."""
    read = sum(not each.problem or each.blocks > 0 for each in report.inputs)
    of_files = f" of {counted(read, 'file')}" if report.inputs else ""
    parts = [f"{counted(len(report.findings), 'distinct finding')} in {counted(report.blocks, 'block')}{of_files}"]
    if report.fatal:
        parts.append(counted(len(report.fatal), "fatal end"))
    if report.unparsed.count:
        parts.append(f"{counted(report.unparsed.count, 'line')} not understood")
    return "; ".join(parts)


def headline(finding: ReportFinding) -> str:
    """Return what a finding is, on what: ``data race on g_total (global of 8 bytes)``."""
    if finding.cycle:
        return f"{finding.title}: {' → '.join(f'M{mutex}' for mutex in (*finding.cycle, finding.cycle[0]))}"
    return f"{finding.title} on {memory(finding.location)}" if finding.location else finding.title


def memory(location: Location) -> str:
    """Name the memory in a few words."""
    size = f" of {counted(location.size, 'byte')}" if location.size is not None else ""
    match location.kind:
        case LocationKind.GLOBAL:
            return f"{location.name or 'an unnamed global'}{f' (global{size})' if location.name else size}"
        case LocationKind.HEAP:
            return f"a heap block{size}"
        case LocationKind.STACK | LocationKind.TLS:
            return f"the {location.kind.value} of {_who(location.thread, main=location.main_thread)}"
        case LocationKind.FILE_DESCRIPTOR:
            return f"file descriptor {location.descriptor}"
        case LocationKind.EXTERNAL:
            return f"{location.name or 'an external object'}{size}"
        case _:
            assert_never(location.kind)


def access_words(access: Access, finding: ReportFinding) -> str:
    """Say what an access did: ``write of 8 bytes by thread T1 'teller', holding M0``."""
    size = f" of {counted(access.size, 'byte')}" if access.size is not None else ""
    what = f" of {access.object_type}" if access.object_type else ""
    by = thread_words(access.thread, finding, main=access.main_thread)
    held = ", ".join(f"M{mutex.id}{'' if mutex.write else ' (for reading)'}" for mutex in access.mutexes)
    holding = f", holding {held}" if held else ", holding no mutex" if _any_held(finding) else ""
    return f"{'earlier ' if access.previous else ''}{access.side}{size}{what} by {by}{holding}"


def thread_words(number: int | None, finding: ReportFinding, *, main: bool = False) -> str:
    """Name a thread: ``main thread``, ``thread T1 'teller'``, ``goroutine 7``."""
    name = next((thread.name for thread in finding.threads if thread.id == number and not main), "")
    word = _who(number, main=main, goroutine=finding.dialect is Dialect.GO)
    return f"{word} '{name}'" if name else word


def acquisition_words(edge: Acquisition, finding: ReportFinding) -> str:
    """Say which lock was taken: ``M1 taken while holding M0, by main thread``."""
    return f"M{edge.mutex} taken while holding M{edge.holding}, by " + thread_words(
        edge.thread, finding, main=edge.main_thread
    )


def created_words(thread: Thread, finding: ReportFinding) -> str:
    """Say who made a thread: ``thread T1 'teller' (running), created by main thread``."""
    state = "running" if thread.status is ThreadStatus.RUNNING else "finished"
    made = ", a GCD worker" if thread.worker else ""
    if thread.parent is not None:
        made = f", created by {thread_words(thread.parent, finding, main=thread.parent_main)}"
    return f"{thread_words(thread.id, finding)} ({state}){made}"


def mutex_words(mutex: Mutex) -> str:
    """Name a mutex: ``mutex M0, created`` or ``mutex M0, already destroyed``."""
    return f"mutex M{mutex.id}, {'already destroyed' if mutex.destroyed else 'created'}"


def panels(finding: ReportFinding) -> Iterator[Panel]:
    """Yield every stack of a finding with its caption, the telling ones first."""
    for access in finding.accesses:
        yield Panel(caption=access_words(access, finding), stack=access.stack, telling=True)
    for edge in finding.acquisitions:
        yield Panel(caption=acquisition_words(edge, finding), stack=edge.stack, telling=True)
        if edge.holding_stack:
            yield Panel(caption=f"M{edge.holding} had been taken", stack=edge.holding_stack)
    for stack in finding.stacks:
        yield Panel(caption=stack.caption.rstrip(":") or "here", stack=stack, telling=True)
    if finding.sleep:
        yield Panel(caption="only a sleep orders the two", stack=finding.sleep)
    yield from _origins(finding)


def _origins(finding: ReportFinding) -> Iterator[Panel]:
    """Yield where the memory, the mutexes and the threads come from."""
    for location in (finding.location, *finding.more_locations):
        if location and location.stack:
            yield Panel(caption=_made_words(location, finding), stack=location.stack)
    for mutex in finding.mutexes:
        if mutex.stack:
            yield Panel(caption=mutex_words(mutex), stack=mutex.stack)
    for thread in finding.threads:
        yield Panel(caption=created_words(thread, finding), stack=thread.stack)


def trim(stack: Stack | None) -> list[Frame | Gap]:
    """Keep the frames that tell something: nobody's plumbing is left out, and the runtime's own.

    A stack of nothing else is kept whole.
    """
    frames = stack.frames if stack else ()
    keep = [not is_interceptor(frame) and not is_plumbing(frame) and _tells(frame) for frame in frames]
    if not any(keep):
        return list(frames)
    lines: list[Frame | Gap] = []
    for frame, kept in zip(frames, keep, strict=True):
        if kept:
            lines.append(frame)
        elif lines and isinstance(last := lines[-1], Gap):
            lines[-1] = Gap(count=last.count + 1)
        else:
            lines.append(Gap(count=1))
    return lines


def frame_name(frame: Frame) -> str:
    """Return a frame's function as printed, or its place in its module."""
    return frame.symbol or frame_module(frame) or "?"


def frame_place(frame: Frame) -> str:
    """Return ``file:line:column`` as far as it is known, else the module."""
    if not frame.file:
        return frame_module(frame) if frame.symbol else ""
    return ":".join(str(part) for part in (frame.file, frame.line, frame.column) if part)


def frame_module(frame: Frame) -> str:
    """Return ``module+0xoffset``, or what there is of it."""
    return f"{frame.module}+{frame.offset:#x}" if frame.offset is not None else frame.module


def short_name(frame: Frame) -> str:
    """Return a function's name without types and arguments, for tables and pictures."""
    return _OPERATOR.sub(_as_written, plain_symbol(frame.symbol)) or frame_module(frame) or "?"


def main_frame(finding: ReportFinding) -> Frame | None:
    """Return the frame that a reader should look at first: theirs if there is one, and with a source line."""
    frames = [origin.yours for origin in finding.origins if origin.yours]
    frames += [origin.frame for origin in finding.origins if origin.frame]
    return next((frame for frame in frames if frame.file and frame.line), frames[0] if frames else None)


def base(path: str) -> str:
    """Return the last part of a path."""
    return path.replace("\\", "/").rpartition("/")[2]


def _as_written(found: re.Match[str]) -> str:
    name = found[1].replace("call", "()").replace("lt", "<").replace("gt", ">")
    return f"operator{name}" if not name[0].isalpha() else f"operator {name}"


def _tells(frame: Frame) -> bool:
    return owner(frame) is not Attribution.RUNTIME and bool(frame.symbol or frame.module)


def _any_held(finding: ReportFinding) -> bool:
    return any(access.mutexes for access in finding.accesses)


def _made_words(location: Location, finding: ReportFinding) -> str:
    verb = {LocationKind.HEAP: "allocated", LocationKind.EXTERNAL: "allocated"}.get(location.kind, "opened")
    if location.closed:
        verb = "closed"
    return f"{memory(location)}, {verb} by {thread_words(location.thread, finding, main=location.main_thread)}"


def _who(number: int | None, *, main: bool = False, goroutine: bool = False) -> str:
    if main:
        return "main goroutine" if goroutine else "main thread"
    if number is None:
        return "an unknown thread"
    return f"goroutine {number}" if goroutine else f"thread T{number}"
