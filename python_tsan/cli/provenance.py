"""Record where a run comes from: the command, the machine, the interpreter, and what pins its numpy."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from msgspec import convert

from python_tsan.checking.lane import installed_version
from python_tsan.cpython.locks import numpy_lock
from python_tsan.result.model import InterpreterRecord, LaneRecord, Provenance
from python_tsan.toolchain.host import this_machine
from python_tsan.version import minor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.expectation import Lane
    from python_tsan.result.store import RunFolder
    from python_tsan.toolchain.model import Toolchain


def provenance_of(
    folder: RunFolder,
    *,
    launcher: tuple[str, ...],
    replaces: str = "",
    notes: Sequence[str] = (),
    numpy_of: Interpreter | None = None,
) -> Provenance:
    """Return where the run in ``folder`` comes from.

    ``launcher`` is the prefix under which its subjects are started, ``replaces`` the requested CPython that was
    unavailable, ``numpy_of`` the interpreter whose numpy they use.
    """
    lock = numpy_lock(minor_of(numpy_of.version), free_threaded=numpy_of.free_threaded) if numpy_of else None
    machine = this_machine(launcher)
    return Provenance(
        command=tuple(sys.argv),
        folder=str(folder.path),
        started_at=folder.started_at.isoformat(timespec="seconds"),
        machine=machine,
        facts={"kernel": machine.kernel, "libc": machine.libc, "architecture": machine.architecture},
        replaces=replaces,
        lock_file=lock.file.name if lock else "",
        lock_sha256=hashlib.sha256(lock.file.read_bytes()).hexdigest() if lock else "",
        numpy=installed_version(numpy_of, "numpy") if numpy_of else "",
        notes=tuple(notes),
    )


def lane_record(
    lane: Lane, interpreter: Interpreter, toolchain: Toolchain, *, tsan_options: str, blind_spot: str
) -> LaneRecord:
    """Return what a result keeps of a lane: its tools, and the manifest of its interpreter."""
    return LaneRecord(
        lane=lane,
        interpreter=convert(interpreter, InterpreterRecord, from_attributes=True),
        toolchain=toolchain.name,
        symbolizer=str(toolchain.symbolizer or ""),
        tsan_options=tsan_options,
        blind_spot=blind_spot,
    )
