"""Read and write files so that what goes wrong with the disk becomes one clear error."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import PythonTsanError, SubjectError, UsageError
from python_tsan.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader

# More than any document or settings file of this package; less than what endangers a machine's memory.
MOST_BYTES = 1 << 30
_HEAD_BYTES = 4096
# A JSON document within both limits takes less than 300 MB when it is read, for any content: its text, and about
# 120 bytes for each value.
MOST_DOCUMENT_BYTES = 64 << 20
MOST_DOCUMENT_VALUES = 1_500_000
LARGE_DOCUMENTS = "PYTHON_TSAN_LARGE_DOCUMENTS"
FOLDERS = "--cache or --output"

# /dev/stdout, /dev/fd/63
_DESCRIPTOR = re.compile(r"/dev/(?P<name>stdout|stderr|fd/(?P<number>\d{1,6}))|/proc/self/fd/(?P<own>\d{1,6})")
_STREAMS = {"stdout": 1, "stderr": 2}

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_BROKEN = frozenset({errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE})
_UNUSABLE = _FORBIDDEN | {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}


def entries(folder: Path, pattern: str) -> list[Path]:
    """Return what matches the pattern in a folder of the machine; none of a folder that this user may not read."""
    return [folder / name for name in glob.glob(pattern, root_dir=folder)]  # noqa: PTH207 -- of Path, it raises


def is_folder(path: Path) -> bool:
    """Report whether there is a folder; False where this user may not look."""
    return os.path.isdir(path)  # noqa: PTH112 -- up to Python 3.13, that of Path raises


def is_file(path: Path) -> bool:
    """Report whether there is a file; False where this user may not look."""
    return os.path.isfile(path)  # noqa: PTH113 -- as above


@contextlib.contextmanager
def storage_errors(
    path: Path, *, option: str = "--output", error: type[PythonTsanError] | None = None, needs: str = ""
) -> Iterator[None]:
    """Turn a failure to write ``path``, which ``option`` has named, into an error that says what to do.

    Raises :class:`UsageError` for a place that cannot be used, :class:`SubjectError` for a disk that fails or is full;
    or ``error`` for both. ``needs`` says how much space is needed.
    """
    try:
        yield
    except OSError as failure:
        if failure.errno is None:  # decompressors report damage in this way
            raise
        raise (
            storage_error(failure, path, option=option, error=error, needs=needs)
            or (error or SubjectError)(
                f"cannot write {path}: {failure.strerror}",
                evidence=path,
                advice=f"choose another place with {option}",
                page="storage",
            )
        ) from failure


def unreadable(
    path: Path, failure: OSError, *, error: type[PythonTsanError] = SubjectError, advice: str = "", page: str = ""
) -> PythonTsanError:
    """Return the error for a file that the user names: a wrong name is a wrong command line, a bad disk is not."""
    kind = UsageError if failure.errno in {errno.ENOENT, errno.ENOTDIR} else error
    return kind(f"cannot read {path}: {failure.strerror}", evidence=path, advice=advice, page=page)


def storage_error(
    failure: OSError,
    path: Path | None = None,
    *,
    option: str = FOLDERS,
    error: type[PythonTsanError] | None = None,
    needs: str = "",
) -> PythonTsanError | None:
    """Return the error for a disk that is full or a place that cannot be used; None for any other failure.

    Without ``path`` it is the one that ``failure`` names, and only a lack of permission, a name that is too long, links
    in a loop and a broken disk count.
    """
    if failure.errno in _FULL:
        where = path or failure.filename
        return (error or SubjectError)(
            f"the disk is full: cannot write {where}" if where else "the disk is full (`df` shows which)",
            evidence=path,
            advice=f"free {needs or 'some space'}, or choose another place with {option}",
            page="storage",
        )
    if path is None and failure.errno in {errno.ENAMETOOLONG, errno.ELOOP}:
        return (error or UsageError)(
            f"cannot open {one_line(str(failure.filename or 'a file'))}: {failure.strerror}",
            advice="name another file or folder",
            page="storage",
        )
    if path is None and failure.errno in _BROKEN:
        return (error or SubjectError)(
            f"cannot read or write {failure.filename or 'a file'}: {failure.strerror}",
            advice="check the file and its disk (`dmesg` may say more)",
            page="storage",
        )
    if failure.errno in (_UNUSABLE if path else _FORBIDDEN):
        verb = "write" if path else "read or write"
        return (error or UsageError)(
            f"cannot {verb} {path or failure.filename or 'a file'}: {os.strerror(failure.errno)}",
            evidence=path,
            advice=f"choose a place that you may write to with {option}",
            page="storage",
        )
    return None


def write_whole(target: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file, at once or in parts, so that a reader sees the old content, or all of the new, at every moment."""
    import tempfile  # noqa: PLC0415 -- brings much with it, and most commands write nothing

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines((data,) if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_named(target: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file that the user names, as a shell's ``>`` would, but whole or not at all.

    A link leads to the file that is written. A device, a pipe with a reader or a descriptor of this process
    (``/dev/stdout``) is written to: another file in its place would take it from every program.

    Raises ``OSError`` for what cannot be written, such as a pipe without a reader.
    """
    parts = (data,) if isinstance(data, bytes) else data
    if (number := _descriptor_of(target)) is not None:
        with os.fdopen(os.dup(number), "wb") as file:
            file.writelines(parts)
        return
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if stat.S_ISREG(mode):
        write_whole(Path(os.path.realpath(target)), data)
        return
    descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.writelines(parts)


def _descriptor_of(target: Path) -> int | None:
    """Return the descriptor of this process that a path names, None for any other path."""
    found = _DESCRIPTOR.fullmatch(str(target))
    return found and _STREAMS.get(found["name"], int(found["number"] or found["own"] or 0))


def expanded(path: str | Path) -> Path:
    """Return a path that the user names, with their home folder for ``~``; as a shell does, ``~nobody`` stays."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 -- Path.expanduser raises if there is no such user


def real(path: str | Path) -> Path:
    """Return what a path leads to; links in a loop lead nowhere and stay."""
    return Path(os.path.realpath(path))


def unfinished_file(target: Path) -> Path:
    """Return where an incomplete result goes, so that it replaces no complete one: ``page.unfinished.md``."""
    return target.with_name(f"{target.stem}.unfinished{target.suffix}")


@contextlib.contextmanager
def open_regular(file: Path) -> Iterator[BufferedReader]:
    """Open a regular file to read it.

    Raises ``OSError`` for everything else: to open a pipe or a device could wait for ever or never end.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))
        yield opened


def read_regular(file: Path, *, limit: int = MOST_BYTES, begins: bytes = b"") -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes. Raises ``OSError`` for everything else.

    Of a file that does not begin with ``begins``, after blanks, only the first bytes are returned: it is another kind
    of file, and may be too large for the memory.
    """
    with open_regular(file) as opened:
        head = opened.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        if not head.lstrip().startswith(begins):
            return head
        if os.fstat(opened.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit >> 20} MB", str(file))
        return opened.read(limit)


def read_document(file: Path, *, in_rows: bool = False) -> bytes:
    """Return the content of a JSON object in a regular file; the first bytes of any other regular file.

    Raises ``OSError`` for one that would take much memory, unless PYTHON_TSAN_LARGE_DOCUMENTS=1 allows it. ``in_rows``
    is for a reader that takes one of any size row by row.
    """
    limited = not in_rows and not _any_size()
    try:
        data = read_regular(file, limit=MOST_DOCUMENT_BYTES if limited else MOST_BYTES, begins=b"{")
    except OSError as error:
        if error.errno == errno.EFBIG and limited:
            raise OSError(errno.EFBIG, f"{error.strerror} ({LARGE_DOCUMENTS}=1 allows it)", str(file)) from error
        raise
    if limited and (why := too_large(data)):
        raise OSError(errno.EFBIG, why, str(file))
    return data


def too_large(data: bytes) -> str:
    """Return why a JSON document could take much memory when it is read as a whole; empty if it could not."""
    if _any_size():
        return ""
    if len(data) > MOST_DOCUMENT_BYTES:
        return f"larger than {MOST_DOCUMENT_BYTES >> 20} MB ({LARGE_DOCUMENTS}=1 allows it)"
    if data.count(b",") > MOST_DOCUMENT_VALUES:
        return f"more than {MOST_DOCUMENT_VALUES:,} values ({LARGE_DOCUMENTS}=1 allows them)"
    return ""


def _any_size() -> bool:
    return os.environ.get(LARGE_DOCUMENTS) == "1"


def text_of(path: Path) -> str:
    """Return the text of a file, undecodable bytes replaced; empty if it is not there."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file in hexadecimal."""
    import hashlib  # noqa: PLC0415 -- loads OpenSSL, and every verb loads this module

    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
