"""Define the errors and interrupts that a user may see, and their exit codes."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of every verb. 1 is kept for findings, so that CI can distinguish a race from a broken build."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    TOOLCHAIN = 3
    FETCH = 4
    BUILD = 5
    SUBJECT = 6
    INTERRUPTED = 130


class PythonTsanError(Exception):
    """An error with everything that a person needs to act on it.

    ``message`` says what happened, ``evidence`` names the file that shows it, ``advice`` says what to do next, and
    ``page`` is the anchor in ``docs/errors.md`` that explains it (each subclass has a default).
    """

    exit_code: ClassVar[ExitCode]
    default_page: ClassVar[str]

    def __init__(self, message: str, *, evidence: Path | None = None, advice: str = "", page: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.advice = advice
        self.page = page or self.default_page


class UsageError(PythonTsanError):
    """The command line or the settings cannot be acted on."""

    exit_code = ExitCode.USAGE
    default_page = "usage"


class ToolchainError(PythonTsanError):
    """No compiler has a working ThreadSanitizer runtime."""

    exit_code = ExitCode.TOOLCHAIN
    default_page = "toolchain"


class FetchError(PythonTsanError):
    """A download failed, or what came is not what is pinned."""

    exit_code = ExitCode.FETCH
    default_page = "fetch"


class BuildError(PythonTsanError):
    """CPython, numpy or the harness could not be built or installed."""

    exit_code = ExitCode.BUILD
    default_page = "build"


class SubjectError(PythonTsanError):
    """A subject or a tool could not be run, or its outcome could not be judged."""

    exit_code = ExitCode.SUBJECT
    default_page = "subject"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP, after the finished results were saved.

    ``message`` says how much that is, ``evidence`` where it is, and ``advice`` how to continue.
    """

    def __init__(self, message: str, *, evidence: Path | None = None, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.advice = advice
