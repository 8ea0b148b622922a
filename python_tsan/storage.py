"""Read and write files so that what goes wrong with the disk becomes one clear error."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# More than any document or settings file of this package; less than what endangers a machine's memory.
MOST_BYTES = 1 << 30


def read_regular(file: Path, *, limit: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises ``OSError`` for everything else: to open a pipe or a device could wait for ever or never end.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))
        if found.st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit >> 20} MB", str(file))
        return opened.read(limit)
