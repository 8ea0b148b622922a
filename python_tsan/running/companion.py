"""Build the preloaded companion once for a compiler and an interpreter, and read what it has written."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from python_tsan import process
from python_tsan.artifact import artifact, existing
from python_tsan.errors import BuildError
from python_tsan.paths import native_folder
from python_tsan.preload_library import COMMON
from python_tsan.result.finding import PythonFrame  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.storage import read_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Candidate

# What is read of one file of a companion: the reports of a process are a few thousand bytes each.
_MOST_BYTES = 128 << 20
LIBRARY = "libpython_tsan_companion.so"
FOLDER_VARIABLE = "PYTHON_TSAN_COMPANION"
COMPILE_SECONDS = 120.0
_FLAGS = ("-O2", "-fPIC", "-fvisibility=hidden", "-fno-sanitize=all")
_RECIPE = 1
_T = TypeVar("_T", bound=msgspec.Struct)


class HookThread(msgspec.Struct, frozen=True, kw_only=True):
    """One thread of the report; ``id`` is the sanitizer's number, ``tid`` the system's."""

    id: int
    tid: int
    name: str


class HookReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of one finding that the report hook reports; its accesses and the like are those of the log.

    ``python`` is the stack of the thread that completed it.
    """

    kind: str
    tid: int
    threads: tuple[HookThread, ...]
    python: tuple[PythonFrame, ...]


class ProcessObjects(msgspec.Struct, frozen=True, kw_only=True):
    """What a process had loaded when it ended; ``hook`` is how the companion reached the report hook."""

    pid: int
    hook: str
    objects: tuple[str, ...]


class ProcessStart(msgspec.Struct, frozen=True, kw_only=True):
    """A process with a sanitizer runtime when it started; ``options`` is its ``TSAN_OPTIONS``.

    ``log`` is the run's log path if the companion restored it. One pid starts several times when it executes other
    programs.
    """

    pid: int
    parent: int
    program: str
    options: str
    log: str = ""


class ProgramStart(msgspec.Struct, frozen=True, kw_only=True):
    """A program that process ``pid`` started without the environment of the run, as ``env -i`` does.

    ``program`` is its name as given in the folder ``directory``; ``path`` are the folders to search for it, if any.
    """

    pid: int
    program: str
    directory: str
    path: str | None

    @property
    def file(self) -> Path:
        """The program's file."""
        if self.path is None or "/" in self.program:
            return Path(self.directory, self.program)
        folders = (str(Path(self.directory, folder)) for folder in self.path.split(os.pathsep))
        return Path(shutil.which(self.program, path=os.pathsep.join(folders)) or self.program)


class ProcessShims(msgspec.Struct, frozen=True, kw_only=True):
    """The groups of shims that a process used, by name."""

    pid: int
    groups: tuple[str, ...]


class ProcessMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a process shared: ``twice`` at two addresses, or ``forked`` with a child. No path: anonymous."""

    pid: int
    device: int
    inode: int
    path: str
    twice: bool
    forked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HookOutput:
    """All that the companions of one run have written: reports by pid in order, the processes that started or ended.

    ``shims`` are the groups of shims that any process used, ``bare`` the programs without the run's environment.
    ``unread`` are the names of files that cannot be read, or have a line within them that is damaged.
    """

    reports: dict[int, tuple[HookReport, ...]]
    processes: tuple[ProcessObjects, ...]
    starts: tuple[ProcessStart, ...] = ()
    shims: tuple[str, ...] = ()
    mappings: tuple[ProcessMapping, ...] = ()
    bare: tuple[ProgramStart, ...] = ()
    unread: tuple[str, ...] = ()


def obtain_companion(
    *, interpreter: Interpreter | None, compiler: Candidate | None, layout: Layout, console: Console
) -> Path | None:
    """Return the companion for these, built if it is not there; None, with a warning, when it cannot be built.

    Without an interpreter it shows no Python frames. It is never instrumented: it must bring no runtime along.
    """
    own = interpreter if interpreter and interpreter.cxx.is_file() else None
    cc, cxx = (own.cc, own.cxx) if own else (compiler.cc, compiler.cxx) if compiler else (None, None)
    if cc is None or cxx is None:
        console.warn(
            "no compiler is at hand for the companion, so Python frames and the list of loaded objects are missing"
        )
        return None
    preload = native_folder() / "preload"
    folders = (native_folder() / "companion", preload / "shims")
    sources = sorted(path for folder in folders for path in folder.iterdir())
    sources += sorted((preload / COMMON).glob("*.hpp"))
    digest = hashlib.sha256(f"{_RECIPE} {cxx.resolve()} {cxx.stat().st_mtime_ns}".encode())
    digest.update((f"{interpreter.key} {interpreter.include}" if interpreter else "").encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    key = digest.hexdigest()[:20]
    try:
        return artifact(
            layout.root / "companions" / key,
            lambda work: _build(sources, interpreter, (cc, cxx), work),
            key=f"companion-{key}",
            ready=lambda folder: existing(folder / LIBRARY),
            layout=layout,
            console=console,
        )[0]
    except BuildError as error:
        console.warn(f"the companion could not be built, so Python frames are missing: {error.message}")
        return None


def _build(sources: Sequence[Path], interpreter: Interpreter | None, compilers: tuple[Path, Path], work: Path) -> Path:
    """Compile into the folder ``work`` and return it. Raises ``BuildError`` with the compiler's first error."""
    cc, cxx = compilers
    units = [path for path in sources if path.suffix == ".cpp"]
    definitions = ("-DPYTHON_TSAN_WITH_PYTHON",) if interpreter else ()
    commands: list[list[str | Path]] = [
        [cxx, *_FLAGS, "-std=c++17", "-fno-exceptions", "-fno-rtti", *definitions, "-c", *units],
        [cc, "-shared", *(f"{path.stem}.o" for path in units), "-o", LIBRARY, "-ldl"],
    ]
    if interpreter:
        frames = next(path for path in sources if path.name == "python_frames.c")
        headers = ("-isystem", interpreter.include, "-isystem", interpreter.include / "internal")
        commands.insert(1, [cc, *_FLAGS, "-std=c11", *headers, "-c", frames])
        commands[-1].append(f"{frames.stem}.o")
    for command in commands:
        ended = process.run(command, cwd=work, env={**os.environ, "LC_ALL": "C"}, timeout=COMPILE_SECONDS)
        if not ended.ok:
            lines = ended.stderr.strip().splitlines() or [f"exit {ended.exit_code}"]
            raise BuildError(next((line for line in lines if "error:" in line), lines[0]))
    return work


def read_hook_output(folder: Path) -> HookOutput:
    """Read what companions have written below ``folder``; a line that the end of its process cut off is left out."""
    unread: dict[str, None] = {}

    def lines(path: Path, kind: type[_T]) -> tuple[_T, ...]:
        found, whole = _lines(path, kind)
        if not whole:
            unread[path.name] = None
        return found

    def read(stem: str, kind: type[_T]) -> tuple[_T, ...]:
        return tuple(line for path in sorted(folder.glob(f"{stem}.*.jsonl")) for line in lines(path, kind))

    reports = sorted(folder.glob("reports.*.jsonl"))
    return HookOutput(
        reports={int(path.name.split(".")[1]): lines(path, HookReport) for path in reports},
        processes=read("objects", ProcessObjects),
        starts=read("starts", ProcessStart),
        shims=tuple(sorted({name for line in read("shims", ProcessShims) for name in line.groups})),
        mappings=read("mappings", ProcessMapping),
        bare=read("execs", ProgramStart),
        unread=tuple(unread),
    )


def _lines(path: Path, kind: type[_T]) -> tuple[tuple[_T, ...], bool]:
    """Return the lines of a file, and whether these are all that were written, but for one at the end that was cut."""
    try:
        lines = read_regular(path, limit=_MOST_BYTES).split(b"\n")
    except OSError:  # the program has put something else there
        return (), False
    read, damaged = [], 0
    for line in lines[:-1]:
        try:
            read.append(msgspec.json.decode(line, type=kind))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            damaged += 1
    return tuple(read), not damaged
