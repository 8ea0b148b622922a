"""Record the outcome of each combination in ``matrix.json``, so that a matrix can be resumed; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from python_tsan.errors import ExitCode, SubjectError
from python_tsan.matrix.model import Combination, LeftOut  # noqa: TC001 -- msgspec resolves the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from python_tsan.matrix.model import Plan

MATRIX_FILE = "matrix.json"
VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one combination: its run's folder, empty if there is none, its exit code, its error in words.

    ``seconds`` is wall time, builds included.
    """

    combination: Combination
    code: ExitCode
    run: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A matrix so far."""

    version: int = VERSION
    outcomes: tuple[Outcome, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def of(self, combination: Combination) -> Outcome | None:
        """Return what became of a combination; None for one that has no run yet, which is then made again."""
        return next((each for each in self.outcomes if each.combination == combination and each.run), None)


class _Header(msgspec.Struct):
    version: int


def encode_record(record: Record) -> bytes:
    """Return ``record`` as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def decode_record(data: bytes, *, name: str) -> Record:
    """Read what :func:`encode_record` wrote; raises :class:`SubjectError` for anything else."""
    try:
        version = msgspec.json.decode(data, type=_Header).version
        if version == VERSION:
            return msgspec.json.decode(data, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SubjectError(f"{name} is no record of a matrix: {error}", page="matrix") from error
    raise SubjectError(
        f"{name} is of version {version}; this python-tsan reads {VERSION}",
        advice="update python-tsan" if version > VERSION else "start the matrix again",
        page="matrix",
    )


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return what a matrix answers: a finding outweighs everything; then the first thing that failed."""
    failed = [code for code in codes if code is not ExitCode.CLEAN]
    return ExitCode.FINDINGS if ExitCode.FINDINGS in failed else next(iter(failed), ExitCode.CLEAN)


def exit_code(plan: Plan, outcomes: Iterable[Outcome]) -> ExitCode:
    """Return the worst of the runs; what was requested by name and is unavailable counts too."""
    asked = [each.code for each in plan.left_out if each.code is not None]
    return worst([*(each.code for each in outcomes), *asked])
