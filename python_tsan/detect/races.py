"""Detect what ThreadSanitizer reports, races and lock-order inversions: its options, its log files and their blocks."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from python_tsan.detect.reading import Reading, read_into
from python_tsan.detect.registry import Evidence
from python_tsan.result.model import Unparsed
from python_tsan.storage import open_regular
from python_tsan.tsan.lexer import FENCE
from python_tsan.tsan.outside import MAX_SAMPLES
from python_tsan.tsan.parser import parse_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

LOG_FOLDER = "logs"
LOG_STEM = "tsan"
_TAIL = 4096
# What the runtime prints to standard error when it does not use the log folder.
_ESCAPED = re.compile(r"^(WARNING|FATAL|ERROR): ThreadSanitizer|^ERROR: Can't (open|create)", re.MULTILINE)


def prepare(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Make the log folder and return the options that name it."""
    logs = folder / LOG_FOLDER
    logs.mkdir()
    path = logs / LOG_STEM
    # The runtime takes the last of several values of one option, and quotes protect a path with spaces or colons.
    options = f"{env.get('TSAN_OPTIONS', '')} log_path='{path}'".strip()
    # For the companion, in a process that is started with other options.
    return {"TSAN_OPTIONS": options, "PYTHON_TSAN_LOG_PATH": str(path)}


def files(folder: Path) -> tuple[Path, ...]:
    """Return the runtime's log files, one for each process that printed something."""
    logs = folder / LOG_FOLDER
    return tuple(sorted(logs.iterdir())) if logs.is_dir() else ()


def problem(folder: Path, stderr: str) -> str:
    """Return why findings cannot be counted, or an empty string."""
    if not (folder / LOG_FOLDER).is_dir():
        return "the log folder is gone, so findings cannot be counted"
    if escaped := _ESCAPED.search(stderr):
        line = stderr[escaped.start() :].splitlines()[0]
        return f"the runtime did not write to the log folder, but to standard error: {line}"
    return ""


def cut_log(folder: Path) -> str:
    """Return which log could not be written to its end, or an empty string: the disk was full, or its size limited.

    The runtime opens a log only to write to it, ends each line, and prints something behind the fence that begins a
    block.
    """
    for path in files(folder):
        with contextlib.suppress(OSError), open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            tail = file.read().decode(errors="replace")
            if tail[-1:] != "\n" or tail.splitlines()[-2:] in ([FENCE], [FENCE, FENCE]):
                return (
                    f"the log {path.name} could not be written to its end, so findings may be missing: the disk was "
                    "full, or the size of files is limited (ulimit -f)"
                )
    return ""


def gaps(folders: Iterable[Path], *, alone: bool) -> Iterator[str]:  # noqa: ARG001 -- the protocol's signature
    """Yield nothing: what the logs lack is a problem of its process."""
    return iter(())


def read(files: Sequence[Path]) -> Evidence:
    """Parse every block of the logs."""
    parsed = [parse_log(path.read_text(encoding="utf-8", errors="replace").splitlines(), str(path)) for path in files]
    return Evidence(
        findings=tuple(finding for log in parsed for finding in log.findings),
        fatal=tuple(fatal for log in parsed for fatal in log.fatal),
        unparsed=Unparsed(
            count=sum(log.unparsed + log.missing for log in parsed),
            samples=tuple(line for log in parsed for line in log.samples)[:MAX_SAMPLES],
        ),
    )


def digest(files: Sequence[Path], reading: Reading) -> None:
    """Add the logs' distinct findings to ``reading``."""
    read_into(reading, map(str, files))
