"""Define what an engine is: one way to record a trace. The list of engines is in :mod:`.registry`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from python_tsan.errors import SubjectError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.console import Console
    from python_tsan.gil.trace import Trace
    from python_tsan.paths import Layout

SPOOL = "PYTHON_TSAN_GIL_SPOOL"  # set in a process that is traced
DEFAULT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an engine may need besides the command. ``memory`` limits the record of one process, in bytes."""

    layout: Layout
    console: Console
    memory: int = DEFAULT_BYTES


class Engine(Protocol):
    """One way to record a trace. ``name`` is the value of ``--engine``, ``summary`` its description in ``--help``.

    ``is_debugger``: it stops the program at breakpoints, so that its times include the debugger's own.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def summary(self) -> str: ...  # noqa: D102

    @property
    def is_debugger(self) -> bool: ...  # noqa: D102

    def is_installed(self, env: Mapping[str, str]) -> bool:
        """Return whether the programs that the engine needs are on PATH."""
        ...

    def trace(self, command: Sequence[str], *, env: Mapping[str, str], settings: Settings) -> Trace:
        """Run ``command`` with this process's own standard streams and return its trace.

        Raises :class:`UsageError` when the command is already being traced,
        :class:`NothingSeenError` when it was run and nothing of it was seen, and other errors of
        :mod:`python_tsan.errors` when it could not be run under the engine.
        """
        ...


class BlindError(SubjectError):
    """Nothing was run: this engine sees nothing of the Python that the command starts."""


class NothingSeenError(SubjectError):
    """The command was run, and nothing of it was seen. ``command_exit`` is its own exit code."""

    def __init__(self, message: str, *, command_exit: int, advice: str = "") -> None:
        super().__init__(f"{message}; the command itself ended with {command_exit}", advice=advice, page="gil")
        self.command_exit = command_exit


def refuse_nested(env: Mapping[str, str]) -> None:
    """Raise :class:`UsageError` inside a program that is being traced: two tracers would each see the other."""
    if SPOOL in env:
        raise UsageError(
            "this process is already being traced", advice="trace the outer or the inner command, not both", page="gil"
        )
