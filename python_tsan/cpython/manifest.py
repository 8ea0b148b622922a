"""Own reading and writing an interpreter's ``manifest.json``; leave its shape to :mod:`.manifest`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

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


def read_manifest(folder: Path) -> Interpreter | None:
    """Return the interpreter in ``folder``, or None if it is not complete, not readable or of another schema."""
    try:
        found = msgspec.json.decode((folder / MANIFEST_NAME).read_bytes(), type=Interpreter, dec_hook=_decode)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.schema == SCHEMA and found.executable.exists() else None


def encode_manifest(interpreter: Interpreter) -> bytes:
    """Return the manifest as JSON, for people and programs."""
    return msgspec.json.format(msgspec.json.encode(interpreter, enc_hook=_encode), indent=2)


def write_manifest(interpreter: Interpreter, folder: Path) -> None:
    """Write the manifest into ``folder`` by rename, so that it is either whole or absent, and on disk on return."""
    partial = folder / f".{MANIFEST_NAME}.{os.getpid()}"
    with partial.open("wb") as file:
        file.write(encode_manifest(interpreter))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / MANIFEST_NAME)


def _encode(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _decode(wanted: type, value: object) -> Path:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(wanted)
