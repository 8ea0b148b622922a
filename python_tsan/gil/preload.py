"""Own the preload engine: run a command with the tracer in it, and read what its processes recorded."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from python_tsan import process
from python_tsan.errors import SubjectError, UsageError
from python_tsan.gil.spool import Spool, SpoolObject, read_spool
from python_tsan.gil.symbols import symbolise
from python_tsan.gil.trace import Engine, Event, Process, Site, Trace, Untraced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SPOOL, BYTES, STARTER = "PYTHON_TSAN_GIL_SPOOL", "PYTHON_TSAN_GIL_BYTES", "PYTHON_TSAN_GIL_STARTER"
FRAMES_BY_API = "PYTHON_TSAN_GIL_FRAMES_BY_API"  # set: frames by the C API also where CPython keeps a table for it
DEFAULT_BYTES = 64 << 20
_MEMORY = Path("/dev/shm")  # noqa: S108 -- a private folder is made in it
_ROOMS = 4  # the memory file system is used when this many processes' records fit
_OTHER_ENGINE = "use --engine debugger (gdb or lldb), which sees every call, only slower"


class NothingSeenError(SubjectError):
    """The command was run, and nothing of it was seen. ``command_exit`` is its own exit code."""

    def __init__(self, message: str, *, command_exit: int, advice: str = "") -> None:
        super().__init__(f"{message}; the command itself ended with {command_exit}", advice=advice, page="gil")
        self.command_exit = command_exit


class _Told(NamedTuple):
    """What a process said of itself."""

    pid: int
    what: str
    detail: str


def trace_preloaded(
    command: Sequence[str], *, library: Path, env: Mapping[str, str], memory: int = DEFAULT_BYTES
) -> Trace:
    """Run ``command`` with this process's own standard streams and return its trace; its exit code is in there.

    ``memory`` bounds what each traced process may use for its record, in bytes.

    Raises :class:`UsageError` when the command does not exist or is being traced already, and :class:`SubjectError`
    when nothing of it can be seen: it is static, or its Python was built so that calls cannot be seen. It is a
    :class:`NothingSeenError` if that came out only after the command had been run.
    """
    refuse_nested(env)
    program = find_program(command[0], env)
    _refuse_static(program)
    started_at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    folder = make_spool_folder(memory)
    try:
        variables = {
            **env,
            **process.preloading([library], env),
            SPOOL: str(folder),
            BYTES: str(memory),
            STARTER: str(os.getpid()),
        }
        ended = process.run_attached([str(program), *command[1:]], env=variables)
        told = _read_told(folder / "processes")
        _refuse_blind(ended.pid, told)
        processes = [read for path in sorted(folder.glob("*.gil")) if (read := _read(path))]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not processes:
        raise _nothing_seen(program, ended.exit_code, told)
    return Trace(
        engine=Engine.PRELOAD,
        command=tuple(command),
        exit_code=ended.exit_code,
        started_at=started_at,
        processes=tuple(sorted(processes, key=lambda one: one.record.started)),
        untraced=tuple(
            Untraced(pid=one.pid, reason=_REASONS.get(one.what, one.what), program=one.detail)
            for one in told
            if one.what in {*_REASONS, "problem"}
        ),
    )


def refuse_nested(env: Mapping[str, str]) -> None:
    """Raise :class:`UsageError` inside a program that is being traced: two tracers would each see the other."""
    if SPOOL in env:
        raise UsageError(
            "this process is being traced already", advice="trace the outer or the inner command, not both", page="gil"
        )


def find_program(name: str, env: Mapping[str, str]) -> Path:
    """Return the program that a shell would start. Raises :class:`UsageError` when there is none."""
    found = shutil.which(name, path=env.get("PATH"))
    if found is None:
        raise UsageError(f"the command does not exist or cannot be executed: {name}", page="gil")
    return Path(found)


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
            f"{program} is a static program, into which nothing can be preloaded", advice=_OTHER_ENGINE, page="gil"
        )


def make_spool_folder(memory: int) -> Path:
    """Return a new folder for records of ``memory`` bytes each: in memory where there is room, for that is quickest."""
    roomy = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOMS * memory
    return Path(tempfile.mkdtemp(prefix="python-tsan-gil-", dir=_MEMORY if roomy else None))


def _read_told(path: Path) -> list[_Told]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split("\t", 3) for line in lines]
    return [_Told(int(row[0]), row[2], row[3]) for row in rows if len(row) == 4]  # noqa: PLR2004 -- as it is written


def _refuse_blind(pid: int, told: Sequence[_Told]) -> None:
    blind = next((one for one in told if one.pid == pid and one.what == "blind"), None)
    if blind:
        raise SubjectError(
            f"the Python in {blind.detail} was built so that its calls cannot be seen from outside (a static build, or "
            "one without semantic interposition); nothing was run",
            advice=f"{_OTHER_ENGINE}; or trace a Python that was configured with --enable-shared alone",
            page="gil",
        )


def _nothing_seen(program: Path, exit_code: int, told: Sequence[_Told]) -> NothingSeenError:
    advice = ""
    if problem := next((one for one in told if one.what == "problem"), None):
        message = f"nothing could be recorded: {problem.detail}"
        advice = "free some space, or choose less with --memory"
    elif unseen := next((one for one in told if one.what in _REASONS), None):
        message = f"the Python in {unseen.detail} cannot be traced: {_REASONS[unseen.what]}"
        advice = _OTHER_ENGINE
    elif any(one.what == "traced" for one in told):
        message = "Python was loaded, and never let go of the GIL"
    elif told:
        message = f"no Python was loaded by {program}"
    else:
        message = f"nothing could be preloaded into {program}"
        advice = f"a set-user-id program, or a script's static interpreter, takes no LD_PRELOAD: {_OTHER_ENGINE}"
    return NothingSeenError(message, command_exit=exit_code, advice=advice)


_REASONS = {"unknown": "it is older than 3.11", "blind": "its calls cannot be seen from outside"}


def _read(path: Path) -> Process | None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        try:
            spool = read_spool(view)
        finally:
            view.release()
    return finish(spool) if spool and spool.events else None


def finish(spool: Spool) -> Process:
    """Return the process with its return addresses turned into sites."""
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
