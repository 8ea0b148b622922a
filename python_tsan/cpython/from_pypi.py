"""Own bringing a tool from PyPI into the cache, once and whole; leave which one, and why, to the callers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.locking import discard, exclusive, writable
from python_tsan.cpython.uv import uv_install

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.cpython.locks import Lock
    from python_tsan.paths import Layout

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
