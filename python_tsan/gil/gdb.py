"""Own the gdb engine: breakpoints instead of a preloaded library. Slow, and blind to nothing that is called.

It is the other engine's oracle. Its times are those of a program that stops at each breakpoint: order and places are to
be believed, durations are not. It sees no Python frames and no forced switches.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from python_tsan import process
from python_tsan.errors import SubjectError, ToolchainError, UsageError
from python_tsan.gil.preload import find_program, refuse_nested
from python_tsan.gil.symbols import symbolise
from python_tsan.gil.trace import Engine, Event, Node, Process, ProcessRecord, Site, Thread, Trace, Way

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OUT = "PYTHON_TSAN_GIL_GDB"
_SCRIPT = Path(__file__).parent / "inside" / "gdb_engine.py"
_MOST_SCRIPTS = 5  # a script whose interpreter is a script, and so on


class Line(NamedTuple):
    """What was seen at one breakpoint."""

    kind: str
    time: int
    tid: int
    way: int
    library: str
    offset: int


def trace_with_gdb(command: Sequence[str], *, env: Mapping[str, str]) -> Trace:
    """Run ``command`` under gdb and return its trace; children of the command are not traced.

    Raises :class:`ToolchainError` without gdb, :class:`UsageError` when the command does not exist, and
    :class:`SubjectError` when no call was seen: the command is no Python, or its functions have no names.
    """
    refuse_nested(env)
    gdb = shutil.which("gdb", path=env.get("PATH"))
    if gdb is None:
        raise ToolchainError("gdb was not found", advice="install gdb, or use --engine preload", page="gil")
    program = resolve_script([str(find_program(command[0], env)), *command[1:]], env)
    started_at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="python-tsan-gil-") as folder:
        out = Path(folder) / "lines"
        argv = [gdb, "-batch", "-nx", "-q", "-x", str(_SCRIPT), "--args", *program]
        # Both variables are gdb's alone: the program gets the environment as it is, but for them.
        process.run_attached(argv, env={**env, OUT: str(out), "DEBUGINFOD_URLS": ""})
        rows = [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()] if out.is_file() else []
    lines = [Line._make(row) for row in rows if row[0] != "exit"]
    ended = next((row[1] for row in rows if row[0] == "exit"), None)
    if not lines:
        raise SubjectError(
            f"gdb saw no call of PyEval_SaveThread in {program[0]}",
            advice="the command is no Python, or its functions have no names",
            page="gil",
        )
    return Trace(
        engine=Engine.GDB,
        command=tuple(command),
        exit_code=1 if ended is None else int(ended),
        started_at=started_at,
        processes=(make_process(lines, executable=program[0]),),
    )


def resolve_script(command: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return the command with a script's interpreter put before it, as the system would start it."""
    resolved = list(command)
    for _ in range(_MOST_SCRIPTS):
        with Path(resolved[0]).open("rb") as file:
            first = file.readline(256)
        if not first.startswith(b"#!"):
            return resolved
        words = first[2:].decode(errors="replace").strip().split(maxsplit=1)
        if not words:
            break
        resolved = [str(find_program(words[0], env)), *words[1:], *resolved]
    raise UsageError(f"the interpreter of the script {command[0]} cannot be told", page="gil")


def make_process(lines: Sequence[Line], *, executable: str) -> Process:
    """Turn what was seen into a process: each release joined with its thread's next acquisition."""
    tids = list(dict.fromkeys(line.tid for line in lines))
    places = sorted({(line.library, line.offset) for line in lines if line.kind == "release"})
    symbols = symbolise(places)
    index = {place: number for number, place in enumerate(places, 1)}
    pid = tids[0]
    return Process(
        record=ProcessRecord(
            pid=pid,
            parent=0,
            executable=executable,
            python="",
            free_threaded=False,
            sees_internal=False,
            started=lines[0].time,
            started_unix=0,
            threads=tuple(Thread(ordinal=number, tid=tid, name="") for number, tid in enumerate(tids)),
        ),
        sites=(Site(library="", offset=0), *(symbols[place] for place in places)),
        nodes=(Node(0, "", "", 0, "", ""),),
        events=tuple(sorted(_join(lines, tids, index), key=lambda event: event.time)),
    )


def _join(lines: Iterable[Line], tids: Sequence[int], index: Mapping[tuple[str, int], int]) -> list[Event]:
    pending: dict[int, Line] = {}
    events = []
    for line in lines:
        before = pending.pop(line.tid, None)
        thread = tids.index(line.tid)
        if line.kind == "release":
            # Two releases in a row are one: ReleaseThread may be built upon SaveThread.
            pending[line.tid] = before or line
        elif before:
            site = index[before.library, before.offset]
            events.append(Event(before.time, line.time, line.time, site, 0, thread, before.way, line.way))
        else:
            events.append(Event(0, line.time, line.time, 0, 0, thread, Way.NONE, line.way))
    for line in pending.values():
        site = index[line.library, line.offset]
        events.append(Event(line.time, 0, 0, site, 0, tids.index(line.tid), line.way, Way.NONE))
    return events
