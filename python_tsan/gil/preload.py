"""Run a command with the tracer preloaded into it, and read what its processes recorded."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from python_tsan import process
from python_tsan.detect import locks
from python_tsan.errors import SubjectError
from python_tsan.gil.engine import DEFAULT_BYTES, SPOOL, BlindError, NothingSeenError, refuse_nested
from python_tsan.gil.lost_time import with_waits
from python_tsan.gil.spool import Spool, SpoolObject, is_cut, read_spool
from python_tsan.gil.trace import Event, Process, Trace, Untraced
from python_tsan.preload_library import GIL_TRACER, LOCK_RECORDER, build_library
from python_tsan.process import find_command
from python_tsan.storage import open_regular
from python_tsan.symbols import Site, symbolise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.gil.engine import Settings

PRELOAD = "preload"
ONLY_WAITS = "PYTHON_TSAN_LOCKS_ONLY_WAITS"
BYTES, STARTER = "PYTHON_TSAN_GIL_BYTES", "PYTHON_TSAN_GIL_STARTER"
FRAMES_BY_API = "PYTHON_TSAN_GIL_FRAMES_BY_API"  # set: read frames through the C API even where debug offsets exist
_MEMORY = Path("/dev/shm")  # noqa: S108 -- a private folder is made in it
_RECORDS = 4  # the memory file system is used when this many processes' records fit
_OTHER_ENGINE = "use --engine debugger (gdb or lldb): slower, but it sees every call"
_REASONS = {"unknown": "it is older than 3.11", "blind": "its calls cannot be intercepted"}


@dataclass(frozen=True, slots=True)
class PreloadEngine:
    """The engine that preloads a library: fast, and it reads Python frames."""

    name: ClassVar[str] = PRELOAD
    summary: ClassVar[str] = "fast, with Python frames and child processes"
    is_debugger: ClassVar[bool] = False

    def is_installed(self, env: Mapping[str, str]) -> bool:  # noqa: ARG002 -- the protocol's signature
        """Return True: the library is built when it is needed."""
        return True

    def trace(self, command: Sequence[str], *, env: Mapping[str, str], settings: Settings) -> Trace:
        """Build the libraries if needed, run the command and return its trace. Raises as :func:`trace_preloaded`."""
        find_command(command[0], env)  # before anything is built for it
        library = build_library(GIL_TRACER, layout=settings.layout, console=settings.console)
        recorder = build_library(LOCK_RECORDER, layout=settings.layout, console=settings.console)
        return trace_preloaded(command, library=library, recorder=recorder, env=env, memory=settings.memory)


class _Note(NamedTuple):
    """What a process reported about itself."""

    pid: int
    what: str
    detail: str


def trace_preloaded(
    command: Sequence[str],
    *,
    library: Path,
    env: Mapping[str, str],
    memory: int = DEFAULT_BYTES,
    recorder: Path | None = None,
) -> Trace:
    """Run ``command`` with this process's own standard streams and return its trace, which has its exit code.

    ``memory`` limits the record of each traced process, in bytes. With the lock recorder, the trace has the waits that
    were made with the GIL held, too.

    Raises :class:`UsageError` when the command is already being traced, and :class:`SubjectError` when it cannot be
    started or nothing of it can be seen: it is static, or its Python was built so that calls cannot be intercepted.
    The error is a :class:`NothingSeenError` if the command had to be run to find out.
    """
    refuse_nested(env)
    program = find_command(command[0], env)
    _refuse_static(program)
    started_at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    folder = make_spool_folder(memory)
    try:
        variables = {
            **env,
            # The recorder first: its constructor runs last, when the tracer has found the calls to look at.
            **process.preloading([*([recorder] if recorder else []), library], env),
            SPOOL: str(folder),
            BYTES: str(memory),
            STARTER: str(os.getpid()),
        }
        if recorder:
            variables |= {**locks.prepare(folder, variables), ONLY_WAITS: "1"}
        ended = process.run_attached([str(program), *command[1:]], env=variables)
        now = time.monotonic_ns()
        notes = _read_notes(folder / "processes")
        _refuse_blind(ended.pid, notes)
        read = [_read(path) for path in sorted(folder.glob("*.gil"))]
        processes = [one for one in read if isinstance(one, Process)]
        unread = [one for one in read if isinstance(one, Untraced)]
        recorded = {trace.pid: trace for _, trace in locks.now(folder)}
        processes = [with_waits(one, recorded.get(one.record.pid), now) for one in processes]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not processes:
        raise _nothing_seen(program, ended.exit_code, notes, unread)
    return Trace(
        engine=PRELOAD,
        command=tuple(command),
        exit_code=ended.exit_code,
        started_at=started_at,
        processes=tuple(sorted(processes, key=lambda one: one.record.started)),
        untraced=(
            *(
                Untraced(pid=one.pid, reason=_REASONS.get(one.what, one.what), program=one.detail)
                for one in notes
                if one.what in {*_REASONS, "problem"}
            ),
            *unread,
        ),
    )


def _refuse_static(program: Path) -> None:
    try:
        with program.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                return
            static = not any(segment["p_type"] == "PT_INTERP" for segment in ELFFile(file).iter_segments())
    except (OSError, ELFError):
        return
    if static:
        raise SubjectError(
            f"{program} is statically linked, so that no library can be preloaded", advice=_OTHER_ENGINE, page="gil"
        )


def make_spool_folder(memory: int) -> Path:
    """Return a new folder for records of ``memory`` bytes each, in the memory file system if they fit: it is faster."""
    fits = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _RECORDS * memory
    return Path(tempfile.mkdtemp(prefix="python-tsan-gil-", dir=_MEMORY if fits else None))


def _read_notes(path: Path) -> list[_Note]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split("\t", 3) for line in lines]
    return [_Note(int(row[0]), row[2], row[3]) for row in rows if len(row) == 4]  # noqa: PLR2004 -- as it is written


def _refuse_blind(pid: int, notes: Sequence[_Note]) -> None:
    blind = next((one for one in notes if one.pid == pid and one.what == "blind"), None)
    if blind:
        raise BlindError(
            f"calls of the Python in {blind.detail} cannot be intercepted: it is a static build, or one without "
            "semantic interposition; nothing was run",
            advice=f"{_OTHER_ENGINE}; or trace a Python that was configured with --enable-shared only",
            page="gil",
        )


def _nothing_seen(
    program: Path, exit_code: int, notes: Sequence[_Note], unread: Sequence[Untraced]
) -> NothingSeenError:
    advice = ""
    if problem := next((one for one in notes if one.what == "problem"), None):
        message = f"nothing could be recorded: {problem.detail}"
        advice = "free some space, or set a lower --memory"
    elif unread:
        message = f"what process {unread[0].pid} recorded cannot be read: {unread[0].program}"
    elif unseen := next((one for one in notes if one.what in _REASONS), None):
        message = f"the Python in {unseen.detail} cannot be traced: {_REASONS[unseen.what]}"
        advice = _OTHER_ENGINE
    elif any(one.what == "traced" for one in notes):
        message = "Python was loaded, but never released the GIL"
    elif notes:
        message = f"no Python was loaded by {program}"
    else:
        message = f"no library could be preloaded into {program}"
        advice = f"a set-user-id program, or a script with a static interpreter, ignores LD_PRELOAD: {_OTHER_ENGINE}"
    return NothingSeenError(message, command_exit=exit_code, advice=advice)


def _read(path: Path) -> Process | Untraced | None:
    """Return what a process recorded, or why that is not known; None if it ended before it recorded anything."""
    try:
        with open_regular(path) as file:
            if not os.fstat(file.fileno()).st_size:  # cannot be mapped
                return None
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                begun, (spool, whole) = data[:1] != b"\0", _read_mapped(data)
    except (OSError, ValueError, struct.error) as error:
        return _unread(path, getattr(error, "strerror", None) or "it is damaged")
    if not whole or (spool is None and begun):
        return _unread(path, "it is damaged")
    return finish(spool) if spool and spool.events else None


def _unread(path: Path, why: str) -> Untraced:
    # 4711-123456789.gil
    pid = path.name.partition("-")[0]
    return Untraced(pid=int(pid) if pid.isdecimal() else 0, reason="its recording cannot be read", program=why)


def _read_mapped(data: mmap.mmap) -> tuple[Spool | None, bool]:
    """Return what is in a file, and whether it has all of its size."""
    view = memoryview(data)
    try:
        return read_spool(view), not is_cut(view)
    finally:
        view.release()


def finish(spool: Spool) -> Process:
    """Return the process with its return addresses replaced by call sites."""
    places = {address: _place(address, spool.objects) for address in {event.site for event in spool.events} if address}
    symbols = symbolise(places.values())
    sites = [Site(library="", offset=0)]
    index = {0: 0}
    for address, place in sorted(places.items()):
        index[address] = len(sites)
        sites.append(symbols[place])
    return Process(
        record=spool.record,
        sites=tuple(sites),
        nodes=spool.nodes,
        events=tuple(Event._make((*event[:3], index[event.site], *event[4:])) for event in spool.events),
    )


def _place(address: int, objects: Sequence[SpoolObject]) -> tuple[str, int]:
    home = next((one for one in objects if one.first <= address < one.last), None)
    return (home.path, address - home.base) if home else ("", address)
