"""Open the content of packed logs, such as those that build servers offer; callers read it."""

from __future__ import annotations

import io
import zlib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

# A log of a log: rotated by one program and compressed by another.
MAX_LAYERS = 3
MAX_MEMBERS = 10_000
# What a packed log may hold: more than any log that is worth packing, and read within minutes.
MAX_UNPACKED = 4 << 30
ZIP = b"PK\x03\x04"
# The first bytes of each format, and the module that reads it; Python may have been built without it.
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma", b"\x5d\0\0": "lzma"}


class DamagedError(OSError):
    """The content cannot be read to its end."""


@cache
def _damage() -> tuple[type[Exception], ...]:
    """Return what the readers of these formats raise for damaged data."""
    import zipfile  # noqa: PLC0415 -- for packed logs only

    damage = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError)
    try:
        from lzma import LZMAError  # noqa: PLC0415 -- it may be missing
    except ImportError:
        return damage
    return (*damage, LZMAError)


class _Bounded(io.RawIOBase):
    """Reads another file up to a limit, and reports damage as :class:`DamagedError`."""

    def __init__(self, file: io.BufferedReader, left: int) -> None:
        self._file, self._left = file, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # of any writable buffer
        if self._left <= 0:
            raise DamagedError(f"it holds more than {MAX_UNPACKED >> 30} GB")
        try:
            data = self._file.read1(min(len(buffer), self._left))
        except _damage() as error:
            raise DamagedError(str(error)) from error
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def unpacked(file: io.BufferedReader) -> io.BufferedReader:
    """Return the content of a compressed file, the file itself if it is not compressed.

    Reading it, this function included, raises :class:`DamagedError` if it is damaged or too large.
    """
    for _ in range(MAX_LAYERS):
        head = file.peek(8)
        module = next((name for magic, name in _PACKED.items() if head.startswith(magic)), "")
        if not module:
            break
        try:
            content = import_module(module).open(file)
        except ImportError as error:
            raise DamagedError(f"this Python has no module {module}") from error
        file = io.BufferedReader(_Bounded(content, MAX_UNPACKED))
    return file


def members(file: io.BufferedReader) -> Iterator[tuple[str, io.BufferedReader]]:
    """Yield name and content of each file in a zip archive.

    Raises :class:`DamagedError` if it is damaged or too large.
    """
    import zipfile  # noqa: PLC0415 -- for packed logs only

    try:
        with zipfile.ZipFile(file) as archive:
            entries = [each for each in archive.infolist() if not each.is_dir()]
            if len(entries) > MAX_MEMBERS:
                raise DamagedError(f"it holds more than {MAX_MEMBERS:,} files")
            left = MAX_UNPACKED
            for entry in entries:
                with archive.open(entry) as member:
                    yield entry.filename, io.BufferedReader(_Bounded(cast("io.BufferedReader", member), left))
                left -= entry.file_size
    except _damage() as error:
        raise DamagedError(str(error)) from error
