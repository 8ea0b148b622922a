"""Generate the logs of the benchmark table: one function for each kind of log, the same text each time."""

from __future__ import annotations

import itertools
from importlib import resources
from typing import TYPE_CHECKING

from tools.bench.logs import PROCESSES, RACES, fill

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    Writer = Callable[[random.Random], Iterator[str]]

SHORT = """==================
WARNING: ThreadSanitizer: data race (pid={pid})
  Write of size 4 at {address} by thread T{one}:
    #0 bump_{race} /src/app/counter_{race}.c:{line}:9 (app+0x{offset:x})

  Previous write of size 4 at {address} by thread T{two}:
    #0 bump_{race} /src/app/counter_{race}.c:{line}:9 (app+0x{offset:x})

SUMMARY: ThreadSanitizer: data race /src/app/counter_{race}.c:{line}:9 in bump_{race}
==================
"""
GO = """==================
WARNING: DATA RACE
Write at {address} by goroutine {one}:
  example.com/bank/account.(*Account{race}).Deposit()
      /src/bank/account/account{race}.go:{line} +0x{offset:x}
  example.com/bank/teller.(*Teller).Serve()
      /src/bank/teller/teller.go:88 +0x1d4

Previous read at {address} by goroutine {two}:
  example.com/bank/account.(*Account{race}).Balance()
      /src/bank/account/account{race}.go:31 +0x44
  example.com/bank/auditor.Look()
      /src/bank/auditor/auditor.go:41 +0x9b

Goroutine {one} (running) created at:
  example.com/bank/teller.Open()
      /src/bank/teller/teller.go:19 +0x7a
  main.main()
      /src/bank/main.go:12 +0x118

Goroutine {two} (finished) created at:
  main.main()
      /src/bank/main.go:14 +0x1a4
==================
"""
JIT_FRAME = "    #{index} <null> <null> ({address:#x})\n"


def long_blocks(chance: random.Random) -> Iterator[str]:
    """Blocks of 2.6 kB, 200 distinct, of several processes in turn."""
    template = (resources.files("tools.bench") / "log.txt").read_text(encoding="utf-8")
    for number in itertools.count():
        yield fill(template, 4000 + number // 64 % PROCESSES, chance.randrange(RACES), chance)


def short_blocks(chance: random.Random) -> Iterator[str]:
    """Blocks of C code with one frame for each access."""
    while True:
        yield fill(SHORT, 4711, chance.randrange(RACES), chance)


def go_blocks(chance: random.Random) -> Iterator[str]:
    """Blocks as Go's race detector prints them."""
    while True:
        yield fill(GO, 4711, chance.randrange(RACES), chance)


def jit_frames(chance: random.Random) -> Iterator[str]:
    """Long blocks with frames of code that was compiled at run time, which have an address and nothing else."""
    for block in long_blocks(chance):
        lines = block.splitlines(keepends=True)
        index = 0
        for position, line in enumerate(lines):
            if line.startswith("    #"):
                index = int(line[5 : line.index(" ", 5)])
            elif line == "\n" and index:
                frames = (
                    JIT_FRAME.format(index=index + more, address=0x7F0000000000 + chance.randrange(1 << 36))
                    for more in (1, 2)
                )
                lines[position] = "".join(frames) + line
                index = 0
        yield "".join(lines)


def program_lines(chance: random.Random) -> Iterator[str]:
    """Long blocks with output of the program between their lines, no two lines of it the same."""
    done = itertools.count()
    for block in long_blocks(chance):
        lines = block.splitlines(keepends=True)
        for _ in range(6):
            number = next(done)
            text = f"[worker {chance.randrange(64)}] request {number} served in {chance.randrange(10**6)} us\n"
            lines.insert(chance.randrange(2, len(lines) - 1), text)
        yield "".join(lines)


def time_prefix(chance: random.Random) -> Iterator[str]:
    """Long blocks with the time before each line, as CI prints it."""
    moment = itertools.count(62_000, 37)
    for block in long_blocks(chance):
        yield "".join(map(_timed, moment, block.splitlines(keepends=True)))


def _timed(moment: int, line: str) -> str:
    seconds, thousandths = divmod(moment, 1000)
    minutes, hours = seconds // 60, seconds // 3600
    clock = f"{hours % 24:02}:{minutes % 60:02}:{seconds % 60:02}.{thousandths:03}0000Z"
    return f"2026-11-{1 + hours // 24 % 28:02}T{clock} {line}"


def interleaved(chance: random.Random) -> Iterator[str]:
    """Lines of eight processes mixed, each with its rank before it."""
    template = (resources.files("tools.bench") / "log.txt").read_text(encoding="utf-8")
    waiting: list[list[str]] = [[] for _ in range(PROCESSES)]
    while True:
        rank = chance.randrange(PROCESSES)
        lines = waiting[rank]
        if not lines:
            block = fill(template, 4000 + rank, chance.randrange(RACES), chance)
            lines += [f"[rank {rank}] {line}" for line in block.splitlines(keepends=True)][::-1]
        yield "".join(lines.pop() for _ in range(min(len(lines), chance.randint(1, 4))))


def distinct(chance: random.Random) -> Iterator[str]:
    """Long blocks, no two of which are the same finding."""
    template = (resources.files("tools.bench") / "log.txt").read_text(encoding="utf-8")
    for race in itertools.count():
        yield fill(template, 4711, race, chance)
