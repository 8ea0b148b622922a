"""Unpack newer stock interpreters from Debian's binary packages into the cache.

This needs no root and installs nothing: each interpreter runs with the loader and libraries of the packages. Only the
rows of the import table run on them; nothing is linked to them.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.artifact import artifact, existing
from python_tsan.cpython.sources.distribution import choose_mirror, distribution_family, private_apt
from python_tsan.errors import FetchError
from python_tsan.process import Completed, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.console import Console
    from python_tsan.paths import Layout

SUITE = "sid"
MINORS = ("3.13", "3.14", "3.15")
# What the interpreters and their standard library are linked to; the machine's own are often too old for them.
LIBRARIES = (
    *("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8", "libssl3t64", "libsqlite3-0"),
    *("libbz2-1.0", "liblzma5", "libzstd1", "libncursesw6", "libtinfo6", "libreadline8t64", "libuuid1", "libcrypt1"),
)
_UPDATE_SECONDS = 300.0
_DOWNLOAD_SECONDS = 600.0
_QUICK_SECONDS = 60.0
_BINARIES = "usr/libexec"  # below the folder; their places in usr/bin belong to the scripts that start them


def unpack_pythons(*, layout: Layout, console: Console, timeout: float) -> tuple[Path, ...]:
    """Return one executable script for each unpacked interpreter, after fetching them if they are missing.

    ``timeout`` is in seconds, for one connection. Raises FetchError on a machine without Debian's apt, or when a
    package is unavailable.
    """

    def fill(work: Path) -> Path:
        console.note(f"unpacking Python {', '.join(MINORS)} from Debian {SUITE} into {home}")
        _fill(work, timeout)
        return work / "root"

    home = layout.interpreters / folder_name()
    artifact(home, fill, key=home.name, ready=existing, layout=layout, console=console)
    return tuple(_launcher(home, minor) for minor in MINORS)


def folder_name() -> str:
    """Return the name of the folder, which depends on the set of packages and on where their executables are."""
    return f"debian-{SUITE}-{hashlib.sha256(' '.join([*package_names(), _BINARIES]).encode()).hexdigest()[:8]}"


def package_names(minors: Sequence[str] = MINORS) -> tuple[str, ...]:
    """Return the binary packages that a set of interpreters is unpacked from."""
    pythons = (
        name.format(minor)
        for minor in minors
        for name in ("python{}-minimal", "libpython{}-minimal", "libpython{}-stdlib", "libpython{}")
    )
    return (*pythons, *LIBRARIES)


def _fill(work: Path, timeout: float) -> None:
    apt = work / "apt"
    apt.mkdir()
    options = private_apt(apt, mirror=_mirror(), suite=SUITE, family="debian", timeout=timeout)
    sources = apt / "sources.list"
    sources.write_text(sources.read_text(encoding="utf-8").replace("deb-src ", "deb "), encoding="utf-8")
    _must("apt-get", [*options, "update"], work, _UPDATE_SECONDS)
    _must("apt-get", [*options, "download", *package_names()], work, _DOWNLOAD_SECONDS)
    for package in sorted(work.glob("*.deb")):
        _must("dpkg-deb", ["--extract", str(package), str(work / "root")], work, _QUICK_SECONDS)
    (work / "root/usr/bin").rename(work / "root" / _BINARIES)


def _mirror() -> str:
    if distribution_family() != "debian":
        raise FetchError(
            "interpreters can be unpacked from Debian's binary packages on a Debian machine only",
            advice="name your own interpreters with --python",
        )
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    listing = _must("apt-get", ["indextargets", "--no-release-info", "--format", form], Path.cwd(), _QUICK_SECONDS)
    mirror = choose_mirror(listing.stdout.splitlines(), codename="")
    if mirror is None:
        raise FetchError("apt's configuration names no mirror of Debian's main archive")
    return mirror


def _must(program: str, arguments: Sequence[str], folder: Path, seconds: float) -> Completed:
    try:
        ended = run([program, *arguments], cwd=folder, env={**os.environ, "LC_ALL": "C"}, timeout=seconds)
    except OSError as error:
        raise FetchError(f"{program} cannot be started: {error.strerror}") from error
    if not ended.ok:
        complaint = next(iter(ended.stderr.strip().splitlines()), f"exit code {ended.exit_code}")
        raise FetchError(f"{program} {arguments[-1]}: {complaint}", advice="try again when the archive answers")
    return ended


def _launcher(home: Path, minor: str) -> Path:
    """Write the script that starts one interpreter, in the place of its executable, and return it.

    Python takes the script for its own executable (``--argv0``), so what it starts by ``sys.executable``, as
    multiprocessing does, runs with the loader and libraries of the packages, too. The text holds the folder, which is
    known only after the rename.
    """
    libraries, name = home / "usr/lib/x86_64-linux-gnu", f"python{minor}"
    start = f'"{libraries}/ld-linux-x86-64.so.2" --library-path "{libraries}" --argv0 "$0" "{home / _BINARIES / name}"'
    return _write_script(home / "usr/bin" / name, f'#!/bin/sh\nexec {start} "$@"\n')


def _write_script(script: Path, text: str) -> Path:
    """Write a script by rename: another process may start it at this moment."""
    if not script.is_file() or script.read_bytes() != text.encode():
        script.parent.mkdir(parents=True, exist_ok=True)
        draft = script.with_name(f".{script.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o755)
        draft.replace(script)
    return script
