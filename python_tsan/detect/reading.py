"""Find and read the logs of any project, damaged ones too; the digest holds their findings."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec import Struct, field

from python_tsan.detect.lines import MAX_LINE, Lines
from python_tsan.detect.packed import ZIP, DamagedError, members, unpacked
from python_tsan.plain_text import counted
from python_tsan.result.model import Input
from python_tsan.storage import read_regular
from python_tsan.tsan.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.detect.parts import LogInParts

CHUNK = 1 << 18
# A smaller log is read faster by one process.
LARGE = 12 << 20
STANDARD_INPUT = "-"
NO_LOGS = "no file in this folder has the name of a log"
# log_path=tsan makes tsan.4711; the rest are usual names of logs. Any other file must be named itself.
_LOG_NAME = re.compile(
    r"(?:[^.]+|.*\.(?:\d+|log|txt|out|err|stdout|stderr|tsan|jsonl|ndjson|gz|bz2|xz|lzma|zip|log[-_.].*))$",
    re.IGNORECASE,
)
# Reports of test runners and answers of log servers: read in a folder whose logs hold no finding, if they name it.
_OTHER_NAME = re.compile(r".*\.(?:json|xml|trx|tap)$", re.IGNORECASE)
_MOST_OTHER = 64 << 20
_PLAIN = "utf-8-sig"
# Byte order marks, the longest first
_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Formats that their first bytes identify; there is no need to read them to the end.
_MAGIC = {
    b"\x7fELF": "a program or shared object",
    b"\x28\xb5\x2f\xfd": "a zstd archive; send the output of `zstdcat` to standard input, and name -",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
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


class Reading(Struct):
    """The findings of all logs, and the state of each file."""

    digest: Digest = field(default_factory=Digest)
    inputs: list[Input] = field(default_factory=list)


def read_logs(paths: Iterable[str], *, packs: bool = False) -> Reading:
    """Read files and folders, ``-`` is standard input. Never raises for their state: each input has its problem.

    Memory is bounded by the distinct findings, which the digest ``packs`` on request, not by the size of the logs; a
    file that is named twice is read once.
    """
    reading = Reading(digest=Digest(packs=packs))
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


def find_logs(folder: Path, pattern: re.Pattern[str] = _LOG_NAME) -> tuple[Path, ...]:
    """Return the files below ``folder`` that have the name of a log, by name; links to folders are not followed."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in sorted(names) if not name.startswith(".") and pattern.match(name)]
    return tuple(found)


def _shown(path: Path) -> str:
    """Return a path that can be shown: bytes of a name that are not text are in hex."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _read_folder(reading: Reading, folder: Path, seen: set[tuple[int, int]]) -> None:
    logs = find_logs(folder)
    before = reading.digest.blocks
    for log in logs:
        _read_file(reading, log, seen, named=False)
    others = find_logs(folder, _OTHER_NAME) if reading.digest.blocks == before else ()
    others = tuple(filter(_names_sanitizer, others))
    for other in others:
        _read_file(reading, other, seen, named=False)
    if not logs and not others:
        reading.inputs.append(Input(file=_shown(folder), problem=NO_LOGS))


def _names_sanitizer(path: Path) -> bool:
    try:
        content = read_regular(path, limit=_MOST_OTHER)
    except OSError:  # too large, or not a file
        return False
    return b"ThreadSanitizer" in content or b"WARNING: DATA RACE" in content


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


def _chunks(file: io.BufferedReader, size: int | None) -> Iterator[bytes]:
    """Yield the content up to ``size``, without the holes of a file that was truncated while it was written."""
    packed = not isinstance(file.raw, io.FileIO)
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


def _encoding(head: bytes) -> str:
    """Return the encoding of a text by its first bytes; without a mark, by where its zero bytes are."""
    if marked := next((name for mark, name in _MARKS.items() if head.startswith(mark)), ""):
        return marked
    pairs = len(head) // 2
    low, high = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if pairs and max(low, high) > pairs // 2 and min(low, high) == 0:
        return "utf-16-le" if high else "utf-16-be"
    return _PLAIN


def _read(reading: Reading, name: str, file: io.BufferedReader, *, size: int | None = None) -> None:
    """Read a log, packed or not, and note its state."""
    try:
        plain = unpacked(file)
        head = plain.peek(512)
        if head.startswith(ZIP) and plain.seekable():
            _read_archive(reading, name, plain)
            return
    except DamagedError as error:
        reading.inputs.append(Input(file=name, size=size or 0, problem=f"cannot be read to its end: {error}"))
        return
    what = "a zip archive; unpack it" if head.startswith(ZIP) else ""
    if what := what or next((what for magic, what in _MAGIC.items() if head.startswith(magic)), ""):
        reading.inputs.append(Input(file=name, size=size or 0, problem=f"is not a log but {what}"))
        return
    _read_text(reading, name, (file, plain), _encoding(head), size)


def _read_archive(reading: Reading, name: str, file: io.BufferedReader) -> None:
    """Read each log in a zip archive, such as the one of a run on GitHub. Raises ``DamagedError``."""
    before = len(reading.inputs)
    for member, content in members(file):
        if _LOG_NAME.match(member.rpartition("/")[2]):
            _read(reading, f"{name}/{member}", content)
            if reading.inputs[-1].problem.startswith("is not a log"):
                reading.inputs.pop()
    if len(reading.inputs) == before:
        reading.inputs.append(Input(file=name, problem=NO_LOGS))


def _read_text(
    reading: Reading, name: str, files: tuple[io.BufferedReader, io.BufferedReader], encoding: str, size: int | None
) -> None:
    """Read a log of which the file and its content, unpacked, are given."""
    file, plain = files
    digest = reading.digest
    before = digest.blocks + len(digest.fatal)
    spoke = digest.notices
    lines = _read_lines(digest, name, plain, encoding, size)
    blocks = digest.blocks + len(digest.fatal) - before
    problem = lines.problem or _changed(file, size)
    unread = bool(problem) or lines.lost
    if lines.binary and not blocks:
        problem = "is not a log but a binary file"
    elif lines.overlong and not problem:
        problem = f"line {lines.overlong:,} is longer than {MAX_LINE:,} characters; the rest of it was left out"
    if unread and not (lines.binary and not blocks):
        digest.unread.append(f"{name}: {problem}")
    reading.inputs.append(
        Input(file=name, size=size or 0, blocks=blocks, spoke=blocks > 0 or digest.notices > spoke, problem=problem)
    )


def _read_lines(
    digest: Digest, name: str, file: io.BufferedReader, encoding: str, size: int | None
) -> Lines | LogInParts:
    """Read a log to its end, on several cores if it is a large one; return what went wrong with its lines."""
    plain = isinstance(file.raw, io.FileIO) and encoding == _PLAIN
    if plain and size is not None and size >= LARGE:
        from python_tsan.detect.parts import LogInParts, others_are_of_use  # noqa: PLC0415 -- few logs are so large

        parts = LogInParts(digest, file.fileno(), name, size)
        if others_are_of_use() and not _has_holes(file) and parts.read():
            return parts
    lines = Lines(_chunks(file, size), encoding)
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
