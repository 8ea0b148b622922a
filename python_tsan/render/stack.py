"""Shorten stacks and name their frames, for every rendering."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.result.attribution import owner
from python_tsan.result.finding import Attribution
from python_tsan.tsan.frames import is_interceptor, is_plumbing, plain_symbol

if TYPE_CHECKING:
    from python_tsan.tsan.finding import Frame, Stack

# operator{call}, operator{lt}{lt}: how plain_symbol keeps brackets of a name apart from those of types
_OPERATOR = re.compile(r"operator\{([^{}]*)\}")
# Headers of libraries, which the compiler puts into the user's own module.
_LIBRARY_HEADER = re.compile(r"/(?:site|dist)-packages/|/(?:pybind11|nanobind)/")


class Gap(Struct, frozen=True, kw_only=True):
    """Frames left out of a trimmed stack."""

    count: int


def trim(stack: Stack | None) -> list[Frame | Gap]:
    """Keep the frames that a reader needs: plumbing and the runtime's own frames are left out.

    Of headers of libraries only the innermost frame is kept. A stack of nothing that is kept is shown whole.
    """
    frames = stack.frames if stack else ()
    keep = [not is_interceptor(frame) and not is_plumbing(frame) and _is_shown(frame) for frame in frames]
    if not any(keep):
        return list(frames)
    innermost = keep.index(True)
    keep = [
        kept and (number == innermost or not _LIBRARY_HEADER.search(frame.file))
        for number, (frame, kept) in enumerate(zip(frames, keep, strict=True))
    ]
    lines: list[Frame | Gap] = []
    for frame, kept in zip(frames, keep, strict=True):
        if kept:
            lines.append(frame)
        elif lines and isinstance(last := lines[-1], Gap):
            lines[-1] = Gap(count=last.count + 1)
        else:
            lines.append(Gap(count=1))
    return lines


def first_frame(stack: Stack | None) -> Frame | None:
    """Return the innermost frame that a trimmed stack shows."""
    return next((frame for frame in trim(stack) if not isinstance(frame, Gap)), None)


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


def _as_written(found: re.Match[str]) -> str:
    name = found[1].replace("call", "()").replace("lt", "<").replace("gt", ">")
    return f"operator{name}" if not name[0].isalpha() else f"operator {name}"


def _is_shown(frame: Frame) -> bool:
    return owner(frame) is not Attribution.RUNTIME and bool(frame.symbol or frame.module)
