"""Own reading a run's own JSON files, each of which says its version; leave what they hold to their modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from python_tsan.errors import SubjectError

if TYPE_CHECKING:
    from pathlib import Path

Kind = TypeVar("Kind")


class _Header(msgspec.Struct):
    version: int


def load_versioned(file: Path, kind: type[Kind], version: int, *, page: str, done: str = "read") -> Kind:
    """Read ``file`` as a ``kind``; ``done`` is what cannot be done with one that is damaged.

    Raises :class:`SubjectError`, explained on ``page``, when there is none, or one that this version does not read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SubjectError(
            f"cannot read {file}: {error.strerror}",
            advice="name the folder of a run of `python-tsan run`, as it was left",
            page=page,
        ) from error
    try:
        found = msgspec.json.decode(data, type=_Header).version
        if found != version:
            raise SubjectError(
                f"{file} is of version {found}; this python-tsan reads {version}",
                advice="update python-tsan" if found > version else "make the run again",
                page=page,
            )
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SubjectError(f"{file} cannot be {done}: {error}", page=page) from error
