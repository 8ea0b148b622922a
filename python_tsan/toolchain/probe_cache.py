"""Keep what earlier runs learnt of compilers while it is still valid."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from python_tsan.storage import write_whole
from python_tsan.versioned_json import encode, from_json

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = 1
T = TypeVar("T")

# Size in bytes and time of the last change in ns; None for a file that was not there.
Stamp = tuple[int, int] | None


class _Record(msgspec.Struct, kw_only=True):
    schema: int
    machine: str
    stamps: dict[str, Stamp]
    value: msgspec.Raw


class ProbeCache:
    """Facts about compilers kept as JSON files in ``folder``, one for each kind of fact and compiler.

    A fact holds while every file that it was learnt from is unchanged, or still absent, and the machine is the same:
    kernel, address space randomisation and system call filter.
    """

    def __init__(self, folder: Path, *, machine: str | None = None) -> None:
        self._folder = folder
        self._machine = machine_identity() if machine is None else machine

    def recall(self, kind: str, compiler: Path, type_: type[T]) -> T | None:
        """Return what is known, or None if nothing is, it is out of date, or its file cannot be understood."""
        try:
            record = msgspec.json.decode(self._path(kind, compiler).read_bytes(), type=_Record)
            if record.schema != SCHEMA or record.machine != self._machine:
                return None
            if any(stamp(Path(path)) != known for path, known in record.stamps.items()):
                return None
            return from_json(bytes(record.value), type_)
        except (OSError, msgspec.MsgspecError, ValueError):
            return None

    def remember(self, kind: str, compiler: Path, value: object, watched: Iterable[Path]) -> None:
        """Keep ``value`` while the ``watched`` files stay as they are. Raises ``OSError`` if it cannot be kept."""
        record = _Record(
            schema=SCHEMA,
            machine=self._machine,
            stamps={str(path): stamp(path) for path in watched},
            value=msgspec.Raw(encode(value)),
        )
        path = self._path(kind, compiler)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.encode(record))

    def _path(self, kind: str, compiler: Path) -> Path:
        digest = hashlib.sha256(os.fsencode(compiler)).hexdigest()[:12]
        return self._folder / f"{kind}-{compiler.name}-{digest}.json"


def stamp(path: Path) -> Stamp:
    """Return size and time of the last change of the file behind ``path``, None if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def machine_identity(proc: Path = Path("/proc")) -> str:
    """Return what decides, apart from files, whether an instrumented program can start here."""
    return f"{platform.machine()} {platform.release()} mmap_rnd_bits={mmap_rnd_bits(proc)} seccomp={seccomp_mode(proc)}"


def mmap_rnd_bits(proc: Path = Path("/proc")) -> int | None:
    """Return how many bits of a mapping's address the kernel draws at random (``vm.mmap_rnd_bits``), if known."""
    return number_in(proc / "sys/vm/mmap_rnd_bits")


def number_in(path: Path) -> int | None:
    """Return the number that a file of the kernel holds, None where it does not show one."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def seccomp_mode(proc: Path = Path("/proc")) -> int | None:
    """Return 2 when a filter decides on this process's system calls, as in most containers, 0 when none does."""
    try:
        status = (proc / "self/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("Seccomp:")), None)
