"""Own reading and writing an interpreter's ``manifest.json``; leave its shape to :mod:`.manifest`."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from python_tsan.cpython.manifest import MANIFEST_NAME, SCHEMA, Interpreter


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
