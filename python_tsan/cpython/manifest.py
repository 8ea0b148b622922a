"""Describe an interpreter under test in ``manifest.json``, which is written last and decides that it is complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- msgspec resolves the annotations at run time

from python_tsan.errors import PythonTsanError
from python_tsan.storage import is_file, write_whole
from python_tsan.version import minor_of
from python_tsan.versioned_json import Format

MANIFEST_NAME = "manifest.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """Where the source came from. ``replaces`` is the requested version if that was unavailable, else empty."""

    version: str
    origin: str
    sha256: str
    replaces: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython under test.

    ``instrumented`` is false for a *stock* one of the machine. ``key`` is the content
    key of the plan (for a stock one, of its libpython). Paths are absolute; ``library`` is the shared libpython.
    ``missing_modules`` are optional extension modules that could not be built. ``content`` is the hash of its files,
    empty where they are not checked.
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
    content: str = ""

    @property
    def standard_library(self) -> Path:
        """Where an interpreter that was built here has the standard library, and ``site-packages`` in it."""
        return self.prefix / "lib" / f"python{minor_of(self.version)}{'t' if self.free_threaded else ''}"


MANIFESTS = Format(kind=Interpreter, what="manifest", schema=SCHEMA)


def read_manifest(folder: Path) -> Interpreter | None:
    """Return the interpreter in ``folder``, or None if it is not complete, not readable or of another schema."""
    try:
        found = MANIFESTS.load(folder / MANIFEST_NAME)
    except PythonTsanError:
        return None
    return found if is_file(found.executable) else None


def built_differently(version: str, interpreters: Path) -> str:
    """Return a sentence on the interpreters of this version or series that ``interpreters`` holds; else empty."""
    found = [read_manifest(folder) for folder in sorted(interpreters.glob("*"))]
    fitting = [one for one in found if one and f"{one.version}.".startswith(f"{version}.")]
    lines = [
        f"{one.prefix} ({one.version}{'t' if one.free_threaded else ''} by {one.toolchain}"
        f"{f', from {one.source.origin}' if one.source else ''})"
        for one in fitting
    ]
    return f"built with other settings: {'; '.join(lines)}" if lines else ""


def write_manifest(interpreter: Interpreter, folder: Path) -> None:
    """Write the manifest into ``folder``, whole or not at all, and on disk on return."""
    write_whole(folder / MANIFEST_NAME, MANIFESTS.encode(interpreter))
