"""Rewrite byte-code for another folder and file time; runs inside the interpreter that made it.

``python bytecode.py PREFIX NEUTRAL SECONDS FOLDER`` copies every ``.pyc`` below PREFIX into FOLDER, with file names
that begin by NEUTRAL and for sources of the time SECONDS. Only the version that wrote the code can read it.
"""

from __future__ import annotations

import _imp
import marshal
import os
import struct
import sys

# Magic number, flags, time and size of the source: https://peps.python.org/pep-0552/
HEADER_BYTES = 16


def main(prefix: str, neutral: str, seconds: str, folder: str) -> None:
    """Copy each file whose source is there and has not changed since."""
    for parent, _, names in os.walk(prefix):
        if os.path.basename(parent) != "__pycache__":  # noqa: PTH119 -- no pathlib: it costs a second here
            continue
        package = os.path.relpath(os.path.dirname(parent), prefix)  # noqa: PTH120
        for name in names:
            source = os.path.join(package, f"{name.partition('.')[0]}.py")  # noqa: PTH118
            with open(os.path.join(parent, name), "rb") as file:  # noqa: PTH118, PTH123
                data = file.read()
            if not is_fresh(data, os.path.join(prefix, source)):  # noqa: PTH118
                continue
            os.makedirs(os.path.join(folder, package, "__pycache__"), exist_ok=True)  # noqa: PTH103, PTH118
            with open(os.path.join(folder, package, "__pycache__", name), "wb") as file:  # noqa: PTH118, PTH123
                file.write(rewrite(data, f"{neutral}/{source}", int(seconds)))


def is_fresh(data: bytes, source: str) -> bool:
    """Return whether an import would take a ``.pyc`` file's bytes for ``source``: by time and size, as most go."""
    flags, seconds, size = struct.unpack_from("<III", data, 4)
    try:
        status = os.stat(source)  # noqa: PTH116
    except OSError:
        return False
    return flags == 0 and (seconds, size) == (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)


def rewrite(data: bytes, source: str, seconds: int) -> bytes:
    """Return a ``.pyc`` file's bytes as they would be, had its source lain at ``source`` since ``seconds``."""
    code = marshal.loads(data[HEADER_BYTES:])  # noqa: S302 -- what this interpreter itself imports
    # Renames the code object and all inside it that share its name, as an import does.
    _imp._fix_co_filename(code, source)  # type: ignore[attr-defined]  # noqa: SLF001
    return data[:8] + struct.pack("<I", seconds) + data[12:HEADER_BYTES] + marshal.dumps(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
