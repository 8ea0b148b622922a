"""Find and read the logs of any project, damaged ones too; the digest holds their findings."""

from __future__ import annotations

import errno
import gzip
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from python_tsan.detect.lines import MAX_LINE, Lines
from python_tsan.detect.parts import LogInParts, worth_parts
from python_tsan.plain_text import counted
from python_tsan.result.model import Input
from python_tsan.tsan.digest import Digest

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator

CHUNK = 1 << 18
STANDARD_INPUT = "-"
NO_LOGS = "no file in this folder has the name of a log"
# log_path=tsan makes tsan.4711; the rest are usual names of logs. Any other file must be named itself.
_LOG_NAME = re.compile(r"(?:[^.]+|.*\.(?:\d+|log|txt|out|err|stdout|stderr|tsan|gz))$", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# Formats that their first bytes identify; there is no need to read them to the end.
_MAGIC = {
    b"\x7fELF": "a program or shared object",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF",
    b"perf.data": "a perf recording",
    b"PERFILE2": "a perf recording",
    b"SQLite format 3": "a database",
}


# What is not opened: to open or read it could wait for ever, or never end.
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(slots=True)
class Reading:
    """The findings of all logs, and the state of each file."""

    digest: Digest = field(default_factory=Digest)
    inputs: list[Input] = field(default_factory=list)


def read_logs(paths: Iterable[str]) -> Reading:
    """Read files and folders, ``-`` is standard input. Never raises for their state: each input has its problem.

    Memory is bounded by the distinct findings, not by the size of the logs; a file that is named twice is read once.
    """
    reading = Reading()
    read_into(reading, paths)
    return reading


def read_into(reading: Reading, paths: Iterable[str]) -> None:
    """Add files and folders to what has been read, as :func:`read_logs` does."""
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path == STANDARD_INPUT:
            _read(reading, "standard input", cast("io.BufferedReader", sys.stdin.buffer))
        elif os.path.isdir(path):  # noqa: PTH112 -- Path.is_dir raises for a long name
            _read_folder(reading, Path(path), seen)
        else:
            _read_file(reading, Path(path), seen)


def find_logs(folder: Path) -> tuple[Path, ...]:
    """Return the files below ``folder`` that have the name of a log, by name; links to folders are not followed."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in sorted(names) if not name.startswith(".") and _LOG_NAME.match(name)]
    return tuple(found)


def _shown(path: Path) -> str:
    """Return a path that can be shown: bytes of a name that are not text are in hex."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _read_folder(reading: Reading, folder: Path, seen: set[tuple[int, int]]) -> None:
    logs = find_logs(folder)
    if not logs:
        reading.inputs.append(Input(file=_shown(folder), problem=NO_LOGS))
    for log in logs:
        _read_file(reading, log, seen, named=False)


def _read_file(reading: Reading, path: Path, seen: set[tuple[int, int]], *, named: bool = True) -> None:
    """Read one regular file. In a folder, files that prove to be binary are skipped."""
    try:
        if special := _SPECIAL.get(stat.S_IFMT(path.stat().st_mode)):
            if named:
                problem = f"is not a log but {special}; send its content to standard input, and name -"
                reading.inputs.append(Input(file=_shown(path), problem=problem))
            return
        # Without O_NONBLOCK, a pipe that has replaced the file in the meantime would wait for its writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if (key := (status.st_dev, status.st_ino)) in seen or not stat.S_ISREG(status.st_mode):
                return
            seen.add(key)
            _read(reading, _shown(path), file, size=status.st_size)
    except OSError as error:
        reading.inputs.append(Input(file=_shown(path), problem=f"cannot be read: {error.strerror}"))
    if not named and reading.inputs[-1].problem.startswith("is not a log"):
        reading.inputs.pop()


def _chunks(file: io.BufferedReader | gzip.GzipFile, size: int | None) -> Iterator[bytes]:
    """Yield the content up to ``size``, without the holes of a file that was truncated while it was written."""
    packed = isinstance(file, gzip.GzipFile)
    while data := file.read1(CHUNK):
        if size is not None and not packed:  # a log that grows faster than it is read has no end
            data = data[: max(0, size - file.tell() + len(data))]
        yield data
        if packed or not file.seekable() or data.strip(b"\0"):
            continue
        try:
            file.seek(file.tell(), os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole to the end
                return


def _read(reading: Reading, name: str, file: io.BufferedReader, *, size: int | None = None) -> None:
    head = file.peek(512)
    if what := next((what for magic, what in _MAGIC.items() if head.startswith(magic)), ""):
        reading.inputs.append(Input(file=name, size=size or 0, problem=f"is not a log but {what}"))
        return
    digest = reading.digest
    before = digest.blocks + len(digest.fatal)
    spoke = digest.notices
    lines = _read_lines(digest, name, file, head, size)
    blocks = digest.blocks + len(digest.fatal) - before
    problem = lines.problem or _changed(file, size)
    if lines.binary and not blocks:
        problem = "is not a log but a binary file"
    elif lines.overlong and not problem:
        problem = f"line {lines.overlong:,} is longer than {MAX_LINE:,} characters; the rest of it was left out"
    reading.inputs.append(
        Input(file=name, size=size or 0, blocks=blocks, spoke=blocks > 0 or digest.notices > spoke, problem=problem)
    )


def _read_lines(
    digest: Digest, name: str, file: io.BufferedReader, head: bytes, size: int | None
) -> Lines | LogInParts:
    """Read a log to its end, on several cores if it is a large one; return what went wrong with its lines."""
    packed = head.startswith(_GZIP)
    plain = not packed and head[:2] not in _UTF16
    if plain and size is not None and worth_parts(size) and not _has_holes(file):
        parts = LogInParts(digest, file.fileno(), name, size)
        if parts.read():
            return parts
    chunks = _chunks(gzip.GzipFile(fileobj=file) if packed else file, size)
    lines = Lines(chunks, "utf-16" if head[:2] in _UTF16 else "utf-8-sig")
    digest.read(lines.pieces(), name)
    return lines


def _has_holes(file: io.BufferedReader) -> bool:
    status = os.fstat(file.fileno())
    return status.st_blocks * 512 < status.st_size  # stat(2) counts in this unit everywhere


def _changed(file: io.BufferedReader, size: int | None) -> str:
    """Return how the size of a file has changed while it was read."""
    if size is None or (now := os.fstat(file.fileno()).st_size) == size:
        return ""
    if now > size:
        return f"grew while it was read: {counted(now - size, 'byte')} at its end were left out"
    return f"was cut to {counted(now, 'byte')} while it was read"
