"""Record a trace with gdb or lldb: breakpoints instead of a preloaded library. Slow, but they miss no call.

They check the preload engine: the two share no code. Times include the debugger's own, so that order and call sites
are right and durations are not. Forced switches are not seen, and Python frames only since 3.13. The code that runs
inside a debugger is in :mod:`.inside`; both debuggers write the same lines.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from python_tsan import process
from python_tsan.errors import SubjectError, ToolchainError
from python_tsan.gil.engine import NothingSeenError, refuse_nested
from python_tsan.gil.inside.frames import Frame
from python_tsan.gil.inside.watched import COMMAND, LOG, OUT
from python_tsan.gil.spool import python_version
from python_tsan.gil.trace import Event, GilCall, Node, Process, ProcessRecord, Thread, Trace
from python_tsan.process import find_command
from python_tsan.storage import entries
from python_tsan.symbols import Site, symbolise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from python_tsan.gil.engine import Settings

_INSIDE = Path(__file__).parent / "inside"
_MOST_SCRIPTS = 5  # a script whose interpreter is a script, and so on
_FOREIGN = ("PYTHON", "LD_", "TSAN_")  # prefixes of variables


class Line(NamedTuple):
    """What was seen at one breakpoint: ``kind`` is release, acquire or swap; ``frames`` are innermost first."""

    kind: str
    time: int
    tid: int
    call: int
    library: str
    offset: int
    frames: Sequence[Frame] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DebuggerEngine:
    """The engine of one debugger. ``arguments`` start it; SCRIPT in them is the path of ``script``, in ``inside/``."""

    name: str
    summary: str
    arguments: tuple[str, ...]
    script: str
    is_debugger: ClassVar[bool] = True

    def find(self, env: Mapping[str, str]) -> Path | None:
        """Return the debugger's program. Debian's lldb has its version in its name; the newest is used."""
        path = env.get("PATH")
        if found := shutil.which(self.name, path=path):
            return Path(found)
        versioned = re.compile(rf"^{self.name}-(\d+)$")
        folders = [Path(folder) for folder in (path or os.defpath).split(os.pathsep)]
        versions = {
            int(match[1]): one
            for folder in folders
            for one in entries(folder, f"{self.name}-*")
            if (match := versioned.match(one.name)) and os.access(one, os.X_OK)
        }
        return versions[max(versions)] if versions else None

    def is_installed(self, env: Mapping[str, str]) -> bool:
        """Return whether the debugger is on PATH."""
        return self.find(env) is not None

    def trace(self, command: Sequence[str], *, env: Mapping[str, str], settings: Settings | None = None) -> Trace:  # noqa: ARG002 -- the protocol's signature
        """Run ``command`` under the debugger and return its trace; children of the command are not traced.

        Raises :class:`ToolchainError` without the debugger, and :class:`SubjectError` when the command cannot be
        started or no call was seen: the command is not Python, or its functions have no symbols.
        """
        refuse_nested(env)
        debugger = self.find(env)
        if debugger is None:
            raise ToolchainError(f"{self.name} was not found", advice=f"install {self.name}", page="gil")
        program = resolve_script([str(find_command(command[0], env)), *command[1:]], env)
        started_at = datetime.now(tz=UTC).isoformat(timespec="seconds")
        with tempfile.TemporaryDirectory(prefix="python-tsan-gil-") as folder:
            out = Path(folder) / "lines"
            out.with_name(out.name + COMMAND).write_text(json.dumps([program, dict(env)]), encoding="utf-8")
            process.run_attached([str(debugger), *self._arguments()], env=_debugger_environment(env, out))
            rows = [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()] if out.is_file() else []
            log = out.with_name(out.name + LOG)
            output = log.read_text(encoding="utf-8", errors="replace").strip() if log.is_file() else ""
        facts = {row[0]: row[1] for row in rows if row[0] in {"exit", "python", "error"}}
        seen = [Line._make(row) for row in rows if row[0] not in facts]
        lines = [line._replace(frames=[Frame._make(frame) for frame in line.frames]) for line in seen]
        if not lines:
            raise self._nothing_seen(program[0], facts, output)
        return Trace(
            engine=self.name,
            command=tuple(command),
            exit_code=int(facts.get("exit", 1)),
            started_at=started_at,
            processes=(make_process(lines, executable=program[0], version=int(facts.get("python", 0))),),
        )

    def _arguments(self) -> list[str]:
        return [argument.replace("SCRIPT", str(_INSIDE / self.script)) for argument in self.arguments]

    def _nothing_seen(self, program: str, facts: Mapping[str, str | int], output: str) -> SubjectError:
        if "exit" not in facts:
            why = facts.get("error") or output.rpartition("\n")[2] or "it did not run the program to its end"
            return SubjectError(f"{self.name} cannot trace {program}: {why}", page="gil")
        return NothingSeenError(
            f"{self.name} saw no call of PyEval_SaveThread in {program}",
            command_exit=int(facts["exit"]),
            advice="the command is not Python, or its functions have no symbols",
        )


GDB = DebuggerEngine(
    name="gdb",
    summary="slow, for any build",
    arguments=("-batch", "-nx", "-q", "-iex", "set auto-load no", "-x", "SCRIPT"),
    script="gdb_engine.py",
)
LLDB = DebuggerEngine(
    name="lldb",
    summary="slow, for any build",
    arguments=("--batch", "--no-lldbinit", "--source-quietly", "-o", 'command script import "SCRIPT"'),
    script="lldb_engine.py",
)


def _debugger_environment(env: Mapping[str, str], out: Path) -> dict[str, str]:
    """Return the debugger's environment, without variables for the program's Python or its sanitizer.

    The debugger's Python finds our modules as top-level modules: importing the package would need its dependencies.
    """
    kept = {name: value for name, value in env.items() if not name.startswith(_FOREIGN)}
    return {**kept, OUT: str(out), "PYTHONPATH": str(_INSIDE), "DEBUGINFOD_URLS": ""}


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
        resolved = [str(find_command(words[0], env)), *words[1:], *resolved]
    raise SubjectError(f"the interpreter of the script {command[0]} cannot be determined", page="gil")


def make_process(lines: Sequence[Line], *, executable: str, version: int = 0) -> Process:
    """Return the process that the lines describe: each release joined with its thread's next acquisition."""
    tids = list(dict.fromkeys(line.tid for line in lines))
    places = sorted({(line.library, line.offset) for line in lines if line.kind != "acquire"})
    symbols = symbolise(places)
    index = {place: number for number, place in enumerate(places, 1)}
    pid = tids[0]
    stacks = _Stacks()
    events = _join(lines, tids, index, stacks)
    return Process(
        record=ProcessRecord(
            pid=pid,
            parent=0,
            executable=executable,
            python=python_version(version),
            free_threaded=False,
            sees_internal=False,
            started=lines[0].time,
            started_unix=0,
            threads=tuple(Thread(ordinal=number, tid=tid, name="") for number, tid in enumerate(tids)),
        ),
        sites=(Site(library="", offset=0), *(symbols[place] for place in places)),
        nodes=stacks.nodes,
        events=tuple(sorted(events, key=lambda event: event.time)),
    )


class _Stacks:
    """Gives each stack a node; equal stacks share one."""

    def __init__(self) -> None:
        self._numbers: dict[Node, int] = {Node(0, "", "", 0, "", ""): 0}

    def __getitem__(self, frames: Sequence[Frame]) -> int:
        node, module = 0, "__main__"  # whose body a frame called <module> is
        for frame in reversed(frames):
            body = module if frame.function == "<module>" else ""
            key = Node(node, frame.file, frame.function, frame.line, body, frame.imports)
            node = self._numbers.setdefault(key, len(self._numbers))
            module = frame.imports or module
        return node

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self._numbers)


def _join(
    lines: Iterable[Line], tids: Sequence[int], index: Mapping[tuple[str, int], int], stacks: _Stacks
) -> list[Event]:
    pending: dict[int, Line] = {}
    events = []
    for line in lines:
        before = pending.pop(line.tid, None)
        thread = tids.index(line.tid)
        if line.kind == "release":
            # Two releases in a row are one: ReleaseThread may be built upon SaveThread.
            pending[line.tid] = before or line
        elif line.kind == "swap" and not before:
            site = index[line.library, line.offset]
            node = stacks[line.frames]
            events.append(Event(line.time, line.time, line.time, site, node, thread, line.call, line.call))
        elif before:
            site = index[before.library, before.offset]
            node = stacks[before.frames]
            events.append(Event(before.time, line.time, line.time, site, node, thread, before.call, line.call))
        else:
            events.append(Event(0, line.time, line.time, 0, 0, thread, GilCall.NONE, line.call))
    for line in pending.values():
        site = index[line.library, line.offset]
        node = stacks[line.frames]
        events.append(Event(line.time, 0, 0, site, node, tids.index(line.tid), line.call, GilCall.NONE))
    return events
