"""Follow a growing log to show the progress of a build."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INTERVAL_SECONDS = 0.5

# clang-19 -c -fno-strict-overflow ... -o Objects/abstract.o ../src/Objects/abstract.c
_COMPILE = re.compile(r"\s-c\s.*?(?P<source>[\w.-]+\.(?:c|cc|cpp|S))\b")
# checking for sys/param.h... yes
_CHECK = re.compile(r"^(?:checking|creating) (?P<what>.+?)(?:\.\.\..*)?$")


class CompileCounter:
    """Counts the objects in a build's output; ``fraction`` stays below 1 until the step ends by itself."""

    def __init__(self, expected: int) -> None:
        self._expected = max(expected, 1)
        self._seen = 0
        self._latest = ""

    def feed(self, line: str) -> None:
        """Take one line of output."""
        if found := _COMPILE.search(line):
            self._seen += 1
            self._latest = found["source"]
        elif found := _CHECK.match(line):
            self._latest = found["what"]

    @property
    def fraction(self) -> float | None:
        """The share of objects that are compiled or being compiled; None before the first."""
        return min(self._seen / self._expected, 0.99) if self._seen else None

    @property
    def detail(self) -> str:
        """What the build is at."""
        return f"{self._seen} of {self._expected} objects, {self._latest}" if self._seen else self._latest


@contextlib.contextmanager
def follow(log: Path, counter: CompileCounter, show: Callable[[float | None, str], None]) -> Iterator[None]:
    """Read ``log`` while the context lasts and show what ``counter`` makes of it, twice a second."""
    stop = threading.Event()
    thread = threading.Thread(target=_follow, args=(log, counter, show, stop), name="follow-log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _follow(
    log: Path, counter: CompileCounter, show: Callable[[float | None, str], None], stop: threading.Event
) -> None:
    position, rest = 0, ""
    while not stop.wait(INTERVAL_SECONDS):
        with contextlib.suppress(OSError), log.open(encoding="utf-8", errors="replace") as file:
            file.seek(position)
            rest += file.read()
            position = file.tell()
        *lines, rest = rest.split("\n")
        for line in lines:
            counter.feed(line)
        if counter.detail:
            show(counter.fraction, counter.detail)
