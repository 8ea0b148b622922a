"""Read the parts of a file that a preloaded library maps and appends rows to; its process may have ended anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import struct
    from collections.abc import Iterator


def header(layout: struct.Struct, view: memoryview, *, magic: bytes, version: int) -> tuple[Any, ...] | None:
    """Return the fields that a file begins with; None if its process ended before it wrote them all."""
    fields = layout.unpack_from(view) if len(view) >= layout.size else ()
    return fields if fields[:2] == (magic, version) else None


def region(view: memoryview, offset: int, size: int, used: int) -> memoryview:
    """Return what is used of a part."""
    return view[offset : offset + min(used, size)]


def rows(layout: struct.Struct, part: memoryview) -> Iterator[tuple[Any, ...]]:
    """Yield the whole rows of a part. Index 0 stands for "no entry", so the first row is left out."""
    whole = len(part) // layout.size * layout.size
    return layout.iter_unpack(part[layout.size : max(whole, layout.size)])


def c_string(view: memoryview) -> str:
    """Return the text before the first zero byte."""
    return bytes(view).partition(b"\0")[0].decode(errors="replace")
