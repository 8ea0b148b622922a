"""Own the schema of ``run.json``: everything that any rendering of a run may say; leave files to the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from python_tsan.checking.model import Status, Verdict
from python_tsan.cpython.manifest import Interpreter  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.errors import ExitCode, SubjectError
from python_tsan.expectation import Lane  # noqa: TC001 -- msgspec resolves the annotations at run time

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the run took place. ``mmap_rnd_bits`` is the address space's randomness, None where it is not told."""

    system: str
    kernel: str
    architecture: str
    libc: str
    cores: int
    mmap_rnd_bits: int | None
    launcher: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRecord:
    """One lane of a run: what it ran on, or why it was skipped. ``blind_spot`` is what this lane cannot see.

    ``bindings`` are the versions of what joins C++ and Python in the harness (``pybind11``), ``numpy`` that of the
    interpreter, empty without one.
    """

    lane: Lane
    interpreter: Interpreter | None = None
    toolchain: str = ""
    bindings: dict[str, str] = field(default_factory=dict)
    numpy: str = ""
    symbolizer: str = ""
    tsan_options: str = ""
    skipped: str = ""
    blind_spot: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Everything that is needed to repeat a run, or to doubt it.

    ``replaces`` is the CPython version that was wanted and could not be had, else empty. ``seeds`` are those handed
    to the subjects by name. ``lock_file`` and ``lock_sha256`` pin numpy. ``notes`` are what was said to the user.
    """

    package: str
    command: tuple[str, ...]
    started_at: str
    machine: Machine
    replaces: str = ""
    lock_file: str = ""
    lock_sha256: str = ""
    numpy: str = ""
    seeds: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All verdicts of one run and where they come from. ``seconds`` is wall time.

    ``unfinished`` says what ended the run before all of its lanes had been judged, and is empty for a whole run.
    """

    schema: int = SCHEMA
    id: str
    provenance: Provenance
    lanes: tuple[LaneRecord, ...]
    verdicts: tuple[Verdict, ...]
    seconds: float = 0.0
    unfinished: str = ""

    def of(self, lane: Lane) -> tuple[Verdict, ...]:
        """Return the verdicts of one lane, in the order of the run."""
        return tuple(verdict for verdict in self.verdicts if verdict.lane is lane)

    @property
    def exit_code(self) -> ExitCode:
        """The run in one code. A doubt outweighs a failure; a run that judged nothing, or not all, is a doubt."""
        statuses = {verdict.status for verdict in self.verdicts}
        if self.unfinished or Status.COULD_NOT_JUDGE in statuses or not statuses - {Status.SKIPPED}:
            return ExitCode.SUBJECT
        return ExitCode.FINDINGS if Status.FAILED in statuses else ExitCode.CLEAN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    schema: int


def encode_run(run: Run) -> bytes:
    """Return ``run`` as JSON for people and programs: indented, one line feed at the end."""
    return msgspec.json.format(msgspec.json.encode(run, enc_hook=_encode_path), indent=1) + b"\n"


def decode_run(data: bytes, *, name: str = "run.json") -> Run:
    """Read what :func:`encode_run` wrote.

    Raises :class:`SubjectError` when it is no run, or one that a newer version of this package wrote.
    """
    header = _decode(data, _Header, name)
    if header.schema != SCHEMA:
        newer = header.schema > SCHEMA
        raise SubjectError(
            f"{name} has schema {header.schema}; this version reads {SCHEMA}",
            advice="update python-tsan" if newer else "make the run again with this version",
            page="run-json",
        )
    run: Run = _decode(data, Run, name)
    return run


def _encode_path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no place in a run")


def _decode_path(kind: type[Any], value: object) -> object:
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} has no place in a run")


def _decode(data: bytes, kind: type[Any], name: str) -> Any:  # noqa: ANN401 -- whatever ``kind`` says
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_decode_path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SubjectError(
            f"{name} is not a run of python-tsan: {error}",
            advice="name the run.json of a finished run",
            page="run-json",
        ) from error
