"""Small look-alikes of CPython's source, the pins for them, and the answers of a server."""

from __future__ import annotations

import hashlib
import io
import tarfile

from python_tsan.cpython.pins import Archive, Release


def source_files(version):
    return {
        "configure": b"#!/bin/sh\n",
        "Include/patchlevel.h": f'#define PY_VERSION      "{version}"\n'.encode(),
        "Lib/os.py": b"import sys\n" * 1000,
    }


def make_archive(version, *, suffix="xz", extra=()):
    """Return the bytes of an archive as python.org lays it out; ``extra`` are (TarInfo, bytes) pairs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{suffix}") as tar:
        for name, content in source_files(version).items():
            info = tarfile.TarInfo(f"Python-{version}/{name}")
            info.size = len(content)
            info.mode = 0o755 if name == "configure" else 0o644
            tar.addfile(info, io.BytesIO(content))
        for info, content in extra:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def make_release(version, content, *, commit="", suites=None):
    archive = Archive(name=f"Python-{version}.tar.xz", sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    return Release(version=version, archives=(archive,), commit=commit, suites=suites or {})


def sends(content, *, length=None, status=200):
    def answer(handler):
        handler.send_response(status)
        if length != "none":
            handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer
