"""Own bringing a tool from PyPI into the cache, once and whole; leave which one, and why, to the callers."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import discard, exclusive, writable
from python_tsan.cpython.diagnosis import step_error
from python_tsan.errors import BuildError

if TYPE_CHECKING:
    from python_tsan.console import Console
    from python_tsan.cpython.locks import Lock
    from python_tsan.paths import Layout


def find_uv() -> Path:
    """Return uv: the one installed beside this package, else the one on PATH. Raises ``BuildError`` without any."""
    return find_tool("uv", purpose="it installs packages without running the slow instrumented interpreter")


def find_tool(name: str, *, purpose: str = "it is needed to build") -> Path:
    """Return the program ``name``: the one installed beside this package by its extras, else the one on PATH.

    Raises ``BuildError`` when there is none, with what it is for.
    """
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if not found:
        raise BuildError(
            f"{name} was not found; {purpose}.",
            advice=f"Install it with the package: python -m pip install 'python-tsan[verify]', or put {name} on PATH.",
        )
    return Path(found)


def uv_install(requirements: Path, *, hashed: bool = True) -> list[str | Path]:
    """Return the command that installs the wheels of a requirements file, each checked against its hash.

    Never from source: numpy's build would run for many minutes, in silence.
    """
    hashes = ("--require-hashes",) if hashed else ()
    options = ("--quiet", "--no-config", "--no-deps", "--only-binary", ":all:", *hashes)
    return [find_uv(), "pip", "install", *options, "--requirements", requirements]


def uv_index() -> list[str | Path]:
    """Return the command that prints ``--index-url URL``, the package index that uv's settings mean; it asks nobody."""
    return [find_uv(), "pip", "compile", "-", "--emit-index-url", "--no-header", "--quiet", "--offline"]


INSTALL_SECONDS = 300.0


def tool_folder(slug: str, layout: Layout) -> Path:
    """Return the folder of a tool's files, which is there when the tool is."""
    return layout.root / "tools" / slug


def lock_slug(lock: Lock) -> str:
    """Return the name of a locked tool, with its release: a new pin is another tool."""
    return f"{lock.name}-{lock.version}"


def install_tool(slug: str, requirements: str, *, hashed: bool = True, layout: Layout, console: Console) -> Path:
    """Return the folder of a tool, filled by these requirements unless it is there; it gets its name when complete.

    ``hashed`` says that the requirements name every file by its hash. Raises ``BuildError`` with the installer's log.
    """
    folder = tool_folder(slug, layout)
    if folder.is_dir():
        return folder
    log = writable(layout.logs / "tools") / f"{slug}.log"
    with exclusive(layout, f"tool-{slug}", console):
        if folder.is_dir():
            return folder
        console.note(f"Fetching {slug} from PyPI.")
        partial = writable(layout.work) / f"tool-{slug}"
        discard(partial)
        wanted = writable(partial) / "requirements.txt"
        wanted.write_text(requirements, encoding="utf-8")
        command = [*uv_install(wanted, hashed=hashed), "--target", partial / "files", "--python", sys.executable]
        ended = process.run(command, stdout=log, timeout=INSTALL_SECONDS)
        if not ended.ok:
            discard(partial)
            raise step_error(f"fetch {slug}", ended, log)
        writable(folder.parent)
        (partial / "files").rename(folder)
        discard(partial)
    return folder
