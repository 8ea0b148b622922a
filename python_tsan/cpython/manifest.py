"""Own the record of an interpreter under test: written last, by rename, and believed only when it is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- msgspec resolves the annotations at run time

MANIFEST_NAME = "manifest.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """Where the source came from. ``replaces`` is the version that was wanted and could not be had, else empty."""

    version: str
    origin: str
    sha256: str
    replaces: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython under test.

    ``instrumented`` tells the one we built under TSan from a *stock* one found on the machine. ``key`` is the content
    key of the plan (for a stock one, of its libpython). Paths are absolute; ``library`` is the shared libpython.
    ``missing_modules`` are optional extension modules that could not be built.
    """

    schema: int = SCHEMA
    key: str
    instrumented: bool
    version: str
    free_threaded: bool
    debug: bool
    prefix: Path
    executable: Path
    library: Path
    include: Path
    cc: Path
    cxx: Path
    toolchain: str
    runtime: Path | None
    runtime_id: str
    source: SourceRecord | None = None
    flags: dict[str, str] = field(default_factory=dict)
    configure: tuple[str, ...] = ()
    missing_modules: tuple[str, ...] = ()
    seconds: float = 0.0
    built_at: str = ""
