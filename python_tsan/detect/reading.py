"""Own how the logs of any project are found and read, whatever state they are in; leave what they say to the digest."""

from __future__ import annotations

import gzip
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from python_tsan.detect.lines import MAX_LINE, Lines
from python_tsan.result.model import Input
from python_tsan.tsan.digest import Digest

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable

CHUNK = 1 << 20
STANDARD_INPUT = "-"
NO_LOGS = "no file in this folder is called as logs are"
# log_path=tsan makes tsan.4711; the rest is what people and CI systems call logs. Anything else must be named itself.
_LOG_NAME = re.compile(r"(?:[^.]+|.*\.(?:\d+|log|txt|out|err|stdout|stderr|tsan|gz))$", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# Formats whose first bytes tell; reading them to the end would tell no more.
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


@dataclass(slots=True)
class Reading:
    """All that was read: what the logs say, and how each file fared."""

    digest: Digest = field(default_factory=Digest)
    inputs: list[Input] = field(default_factory=list)


def read_logs(paths: Iterable[str]) -> Reading:
    """Read files and folders, ``-`` being standard input. Never raises for what it finds: each input tells its problem.

    Memory is bounded by the distinct findings, not by the size of the logs; a file that is met twice is read once.
    """
    reading = Reading()
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path == STANDARD_INPUT:
            _read(reading, "standard input", cast("io.BufferedReader", sys.stdin.buffer))
        elif Path(path).is_dir():
            _read_folder(reading, Path(path), seen)
        else:
            _read_file(reading, Path(path), seen)
    return reading


def find_logs(folder: Path) -> tuple[Path, ...]:
    """Return the files below ``folder`` that are called as logs are, by name; links to folders are not followed."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in sorted(names) if not name.startswith(".") and _LOG_NAME.match(name)]
    return tuple(found)


def _told(path: Path) -> str:
    """Return a path as it can be told: bytes of a name that are no text are shown in hex."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _read_folder(reading: Reading, folder: Path, seen: set[tuple[int, int]]) -> None:
    logs = find_logs(folder)
    if not logs:
        reading.inputs.append(Input(file=_told(folder), problem=NO_LOGS))
    for log in logs:
        _read_file(reading, log, seen, named=False)


def _read_file(reading: Reading, path: Path, seen: set[tuple[int, int]], *, named: bool = True) -> None:
    """Read one file. In a folder, what proves to be no text is passed over: nobody said that it is a log."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if (key := (status.st_dev, status.st_ino)) in seen:
                return
            seen.add(key)
            _read(reading, _told(path), file, size=status.st_size)
    except OSError as error:
        reading.inputs.append(Input(file=_told(path), problem=f"cannot be read: {error.strerror}"))
    if not named and reading.inputs[-1].problem.startswith("is no log"):
        reading.inputs.pop()


def _read(reading: Reading, name: str, file: io.BufferedReader, *, size: int = 0) -> None:
    head = file.peek(512)
    if what := next((what for magic, what in _MAGIC.items() if head.startswith(magic)), ""):
        reading.inputs.append(Input(file=name, size=size, problem=f"is no log but {what}"))
        return
    digest = reading.digest
    before = digest.blocks + len(digest.fatal)
    spoke = digest.notices
    plain = gzip.GzipFile(fileobj=file) if head.startswith(_GZIP) else file
    lines = Lines(iter(lambda: plain.read1(CHUNK), b""), "utf-16" if head[:2] in _UTF16 else "utf-8-sig")
    digest.add(lines, name)
    blocks = digest.blocks + len(digest.fatal) - before
    problem = lines.problem
    if lines.binary and not blocks:
        problem = "is no log but a binary file"
    elif lines.overlong and not problem:
        problem = f"line {lines.overlong:,} is longer than {MAX_LINE:,} characters; the rest of it was left out"
    reading.inputs.append(
        Input(file=name, size=size, blocks=blocks, spoke=blocks > 0 or digest.notices > spoke, problem=problem)
    )
