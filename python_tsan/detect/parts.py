"""Read a large log on several cores: each process reads some of its parts, and the parts are joined in order.

A part is read on trust, as if the log had only prefixes that were seen before the processes started. Whether that is
so shows when the part before it is done: the state that it leaves must be the one in which the next part was read,
open blocks included. Otherwise the next part is read again, from that state.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import threading
from typing import IO, TYPE_CHECKING

from msgspec import Struct, field

from python_tsan.cores import usable_cores
from python_tsan.detect.lines import MAX_LINE, Lines
from python_tsan.tsan.outside import Outside
from python_tsan.tsan.splitter import Splitter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.tsan.digest import Digest, Part

PART_SIZE = 6 << 20
# Read at once by this process: it shows which prefixes there are.
FIRST_SIZE = 1 << 20
# What a process reads before its part, to find the blocks that are open there.
APPROACH_SIZE = 1 << 18
CHUNK = 1 << 18
MAX_JOBS = 8
# So often other processes are started again after a part was not what it had been taken for.
MAX_FAILURES = 8
_TEXT = "utf-8"


class _Result(Struct):
    """A part as a process has read it: from which state, what it holds, and the state at its end."""

    state: tuple[object, ...] | None
    number: int
    part: Part
    splitter: Splitter
    overlong: int
    lost: bool


class LogInParts(Struct):
    """Reads one log of ``size`` bytes into ``digest``. The other fields are those of Lines."""

    digest: Digest
    file: int
    name: str
    size: int
    binary: bool = False
    overlong: int = 0
    lost: bool = False
    problem: str = ""
    _splitter: Splitter = field(default_factory=Splitter)
    _outside: Outside = field(default_factory=Outside)

    def read(self) -> bool:
        """Read the log; return False, and read nothing, if it cannot be cut into parts."""
        ends = self._ends()
        if not ends:
            return False
        done, failures = self._read_here(ends, 0), 0
        while done < len(ends):
            if failures < MAX_FAILURES and self._splitter.state is not None:
                done += self._read_by_others(ends, done)
            if done < len(ends):
                failures += 1
                rest = failures >= MAX_FAILURES or self.problem != ""
                done = self._read_here(ends, done, rest=rest)
        self.digest.close(self._outside, self.name)
        return True

    def _ends(self) -> list[int]:
        """Return where the parts end, each behind a line feed but the last; nothing if a line is too long for that."""
        ends = []
        for nominal in (FIRST_SIZE, *range(PART_SIZE, self.size - PART_SIZE // 2, PART_SIZE)):
            found = os.pread(self.file, MAX_LINE, nominal).find(b"\n")
            if found < 0:
                return []
            ends.append(nominal + found + 1)
        return [*ends, self.size] if ends == sorted(set(ends)) and ends[-1] < self.size else []

    def _lines(self, start: int, stop: int) -> Lines:
        # A byte order mark is one at the start of the log only.
        return Lines(self._chunks(start, stop), _TEXT if start else "utf-8-sig")

    def _chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop and (data := os.pread(self.file, min(CHUNK, stop - start), start)):
            yield data
            start += len(data)

    def _read_here(self, ends: list[int], index: int, *, rest: bool = False) -> int:
        """Read one part from the true state, or all the rest; return how many parts are done."""
        splitter = self._splitter
        while True:
            start = ends[index - 1] if index else 0
            index = len(ends) if rest else index + 1
            lines = self._lines(start, ends[index - 1])
            before = splitter.number
            self.digest.resume(splitter, lines.pieces(), self.name, last=index == len(ends))
            self.binary = self.binary or (lines.binary and not start)
            self._note(lines.overlong, before)
            self.lost = self.lost or lines.lost
            self.problem = lines.problem
            if index == len(ends) or splitter.state is not None:
                break
            rest = True  # wrapped lines: what is known of them cannot be compared
        self._count(splitter)
        return index

    def _read_by_others(self, ends: list[int], done: int) -> int:
        """Read parts by processes, from this one on; return how many were what they had been taken for."""
        accepted = 0
        with _processes(self, ends, done) as results:
            for result in results:
                if result is None or result.state is None or result.state != self._splitter.state:
                    break
                splitter = result.splitter
                if splitter.state is None and done + accepted + 1 < len(ends):
                    break
                shift = self._splitter.number - result.number
                self._note(result.overlong, self._splitter.number)
                self.lost = self.lost or result.lost
                self.digest.add_part(result.part, self.name, shift)
                splitter.renumber(shift)
                self._count(splitter)
                self._splitter = splitter
                accepted += 1
        return accepted

    def _count(self, splitter: Splitter) -> None:
        self._outside.extend(splitter.outside)
        splitter.outside.clear()

    def _note(self, overlong: int, before: int) -> None:
        if overlong and not self.overlong:
            self.overlong = before + overlong

    def part(self, digest: Digest, start: int, stop: int) -> _Result | None:
        """Read a part as if the log had the present state before it; None if it cannot be read to its end."""
        splitter = self._splitter.part()
        approach = max(0, start - APPROACH_SIZE)
        skipped = os.pread(self.file, APPROACH_SIZE, approach).find(b"\n") + 1
        digest.approach(splitter, self._lines(approach + skipped, start).pieces())
        state, number = splitter.state, splitter.number
        splitter.outside.clear()
        lines = self._lines(start, stop)
        digest.resume(splitter, lines.pieces(), self.name, last=stop == self.size)
        if lines.problem:
            return None
        return _Result(state, number, digest.take_part(), splitter, lines.overlong, lines.lost)


@contextlib.contextmanager
def _processes(log: LogInParts, ends: list[int], done: int) -> Iterator[Iterator[_Result | None]]:
    """Let processes read the parts from ``done`` on in turn; yield their results in order, None where one died."""
    stretches = list(zip(ends[done - 1 :], ends[done:], strict=False))
    jobs = min(_jobs(), len(stretches))
    readers: list[IO[bytes]] = []
    pids: list[int] = []
    try:
        for job in range(jobs):
            read_end, write_end = os.pipe()
            readers.append(os.fdopen(read_end, "rb"))
            with contextlib.closing(os.fdopen(write_end, "wb")) as out:
                pid = _fork()
                if not pid:
                    _work(log, stretches[job::jobs], readers, out)
                pids += [pid] if pid > 0 else []
        yield (_load(readers[index % jobs]) for index in range(len(stretches)))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for reader in readers:
            reader.close()


def _fork() -> int:
    """Return what ``os.fork`` does; -1 if there can be no further process, which is as if that had died at once."""
    try:
        return os.fork()
    except OSError:
        return -1


def _work(log: LogInParts, stretches: list[tuple[int, int]], readers: list[IO[bytes]], out: IO[bytes]) -> None:
    """Read parts, in a process of its own, until they are done or nobody reads the results. Never returns."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reader of the results ends this process
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for reader in readers:  # else a process whose reader has died would wait for it
            os.close(reader.fileno())
        gc.disable()  # there are no cycles to be found, and this process is a short one
        digest = log.digest.forked()
        for start, stop in stretches:
            pickle.dump(log.part(digest, start, stop), out, pickle.HIGHEST_PROTOCOL)
            out.flush()
    finally:
        os._exit(0)


def _load(reader: IO[bytes]) -> _Result | None:
    try:
        result = pickle.load(reader)  # noqa: S301 -- written by a process of our own
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
    return result if isinstance(result, _Result) else None


def others_are_of_use() -> bool:
    """Report whether there are several cores, and other processes can be started."""
    return _jobs() > 1 and hasattr(os, "fork") and threading.active_count() == 1


def _jobs() -> int:
    return min(MAX_JOBS, usable_cores())
