"""Reuse the result of ``configure`` from another machine like this one, through a cache that both share.

Two machines are alike when :mod:`.configured` sees the same headers and libraries on both, and the tools that configure
looks for are in the same places. Where the folders are does not count: their names are taken out and put in.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.build import configured
from python_tsan.cpython.compiler_cache.remote_store import MOST_BYTES, RemoteStore, RemoteStoreError, remote_store_of
from python_tsan.cpython.moving import renamed, rewrite
from python_tsan.cpython.plan import Placeholder
from python_tsan.cpython.sources.unpack import UnsafeMember, extract
from python_tsan.cpython.zstandard import zstd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.console import Console
    from python_tsan.cpython.build.build_dirs import BuildDirs
    from python_tsan.cpython.compiler_cache.remote import Remote
    from python_tsan.cpython.plan import BuildPlan

# What configure of 3.11 to 3.15 looks for on PATH, but for the compilers, which the plan names.
TOOLS = (
    *("ar", "dtrace", "egrep", "ggrep", "git", "ginstall", "gmkdir", "grep", "gsed", "install", "llvm-ar", "llvm-bolt"),
    *("llvm-profdata", "merge-fdata", "mkdir", "node", "pkg-config", "ranlib", "readelf", "scoinst", "sed", "true"),
)
# A configured folder takes 3 MB.
MOST_UNPACKED = 64 << 20
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The state of one plan on machines like this one: under which name it is kept, and which texts are ours alone."""

    store: RemoteStore
    name: str
    shown: str
    own: dict[bytes, bytes]
    console: Console

    def take(self, build: Path) -> bool:
        """Fill the new folder ``build`` with what another machine left; False, with a word if it failed, if not."""
        try:
            data = self.store.get(self.name)
            if data is None:
                return False
            unpack(data, build, self.own)
        except (RemoteStoreError, ValueError) as error:
            self._warn("did not provide the result of configure", error)
            return False
        self.console.note(f"{self.shown}: using the result of configure from a machine like this one")
        return True

    def give(self, build: Path) -> None:
        """Leave what was found out in the freshly configured folder ``build`` to other machines."""
        try:
            self.store.put(self.name, pack(build, self.own))
        except (RemoteStoreError, ValueError) as error:
            self._warn("does not keep the result of configure", error)

    def _warn(self, what: str, error: Exception) -> None:
        self.console.warn(f"{self.shown} {what}: {error}")


def exchange_of(remote: Remote | None, plan: BuildPlan, dirs: BuildDirs, console: Console) -> Exchange | None:
    """Return the exchange through ``remote``, or None without a remote, or if it keeps objects only."""
    store = remote_store_of(remote) if remote else None
    if store is None or remote is None:
        return None
    places = {name: dirs.values[name] for name in (Placeholder.SOURCE, Placeholder.CC, Placeholder.CXX)}
    tools = " ".join(f"{tool}={shutil.which(tool, path=dirs.env.get('PATH'))}" for tool in TOOLS)
    alike = configured.fingerprint(plan, places, {**dirs.env, "PATH": tools})
    return Exchange(
        store=store,
        name=f"python-tsan-configured-1-{plan.key}-{alike}",
        shown=remote.shown,
        own={b"@python-tsan:build@": os.fsencode(dirs.build), b"@python-tsan:final@": os.fsencode(dirs.final)},
        console=console,
    )


def pack(build: Path, own: Mapping[bytes, bytes]) -> bytes:
    """Return a configured folder as bytes, with the texts of ``own`` replaced by their names.

    Raises ``ValueError`` if it is larger than anything that configure makes.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(build.rglob("*")):
            if configured.NOT_KEPT(str(path.parent), [path.name]):
                continue
            member = tar.gettarinfo(path, str(path.relative_to(build)))
            data = path.read_bytes() if member.isreg() else b""
            data = renamed(data, {text: name for name, text in own.items()})
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    packed = zstd.compress(buffer.getvalue())
    if len(packed) + _DIGEST_BYTES >= MOST_BYTES:
        raise ValueError(f"it takes {len(packed):,} bytes")
    return hashlib.sha256(packed).digest() + packed


def unpack(data: bytes, build: Path, own: Mapping[bytes, bytes]) -> None:
    """Make the new folder ``build`` of what :func:`pack` returned, with the texts of ``own`` in place of their names.

    Raises ``ValueError`` for bytes that are not whole, or no such folder; nothing is left then.
    """
    digest, packed = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(packed).digest() != digest:
        raise ValueError(f"{len(data):,} bytes that are not what was kept")
    partial = build.with_name(f".{build.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        with zstd.ZstdFile(io.BytesIO(packed)) as stream:
            unpacked = stream.read(MOST_UNPACKED + 1)
        if len(unpacked) > MOST_UNPACKED:
            raise ValueError(f"it takes more than {MOST_UNPACKED >> 20} MB")
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
            extract(tar, partial)
        for path in filter(Path.is_file, partial.rglob("*")):
            data = path.read_bytes()
            if (settled := renamed(data, own)) != data:
                rewrite(path, settled)
        partial.rename(build)
    except (UnsafeMember, tarfile.TarError, zstd.ZstdError) as error:
        raise ValueError(str(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
