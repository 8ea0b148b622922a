"""Find the programs that builds need, and install tools from PyPI into the cache with uv."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from python_tsan.artifact import artifact, existing, writable
from python_tsan.cpython.diagnosis import run_step
from python_tsan.errors import BuildError
from python_tsan.process import find_installed

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.cpython.locks import Lock
    from python_tsan.paths import Layout

INSTALL_SECONDS = 300.0


def find_uv() -> Path:
    """Return uv: the one installed with this package, else the one on PATH. Raises ``BuildError`` without any."""
    return find_tool("uv", purpose="it installs packages without running the slow instrumented interpreter")


def find_tool(name: str, *, purpose: str = "it is needed to build") -> Path:
    """Return the program ``name``: the one that this package's extras installed, else the one on PATH.

    Raises ``BuildError`` if it is missing; ``purpose`` says what it is for.
    """
    found = find_installed(name)
    if found is None:
        raise BuildError(
            f"{name} was not found; {purpose}",
            advice=f"install it with the package: python -m pip install 'python-tsan[verify]', or put {name} on PATH",
        )
    return found


def uv_install(requirements: Path, *, hashed: bool = True) -> list[str | Path]:
    """Return the command that installs the wheels of a requirements file; each is checked against its hash.

    Never from source: numpy's build would run for many minutes without output.
    """
    hashes = ("--require-hashes",) if hashed else ()
    return uv_pip("--no-config", "--no-deps", "--only-binary", ":all:", *hashes, "--requirements", requirements)


def uv_pip(*arguments: str | Path) -> list[str | Path]:
    """Return the command that installs packages with uv, for callers that need neither hashes nor the cache."""
    return [find_uv(), "pip", "install", "--quiet", *arguments]


def uv_index() -> list[str | Path]:
    """Return the command that prints ``--index-url URL``, the package index of uv's settings, without network."""
    return [find_uv(), "pip", "compile", "-", "--emit-index-url", "--no-header", "--quiet", "--offline"]


def tool_folder(slug: str, layout: Layout) -> Path:
    """Return the folder of a tool's files; it exists once the tool is complete."""
    return layout.root / "tools" / slug


def lock_slug(lock: Lock) -> str:
    """Return the name of a locked tool with its release, so that a new pin is another tool."""
    return f"{lock.name}-{lock.version}"


def install_tool(slug: str, requirements: str, *, hashed: bool = True, layout: Layout, console: Console) -> Path:
    """Return the folder of a tool; install these requirements there unless it exists.

    ``hashed`` says that the requirements name every file by its hash. Raises ``BuildError`` with the installer's log.
    """

    def fill(work: Path) -> Path:
        console.note(f"Fetching {slug} from PyPI")
        log = writable(layout.logs / "tools") / f"{slug}.log"
        listed = work / "requirements.txt"
        listed.write_text(requirements, encoding="utf-8")
        command = [*uv_install(listed, hashed=hashed), "--target", work / "files", "--python", sys.executable]
        run_step(f"fetch {slug}", command, log, timeout=INSTALL_SECONDS)
        return work / "files"

    folder = tool_folder(slug, layout)
    return artifact(folder, fill, key=f"tool-{slug}", ready=existing, layout=layout, console=console)[0]
