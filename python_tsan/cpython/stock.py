"""Find a stock interpreter with a shared library for the fast lane."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan import process
from python_tsan.binding import default_for
from python_tsan.cpython.environment import clean_environment
from python_tsan.cpython.manifest import Interpreter
from python_tsan.setting_values import DEFAULT_PYTHON, NEWEST_MINOR, OLDEST_MINOR
from python_tsan.storage import entries, is_file, real, sha256_of
from python_tsan.version import numbers_of, release_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.toolchain.model import Toolchain

ASK_SECONDS = 20.0
OLDEST = (3, OLDEST_MINOR)

_QUESTION = """\
import json, os, sys, sysconfig
get = sysconfig.get_config_var
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "prefix": sys.base_prefix,
    "executable": os.path.realpath(sys.executable),
    "shared": bool(get("Py_ENABLE_SHARED")),
    "library": os.path.join(get("LIBDIR") or "", get("INSTSONAME") or get("LDLIBRARY") or ""),
    "include": sysconfig.get_path("include"),
    "free_threaded": bool(get("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """A Python as it describes itself."""

    version: str
    prefix: Path
    executable: Path
    shared: bool
    library: Path
    include: Path
    free_threaded: bool
    debug: bool

    @property
    def release(self) -> tuple[int, int]:
        """First two numbers of the version."""
        return release_of(self.version)


def find_stock(
    settings: Settings, *, toolchain: Toolchain, console: Console, env: Mapping[str, str] = os.environ
) -> Interpreter | None:
    """Return a stock interpreter with a shared library and headers, or None; say which, or that none was found.

    ``toolchain`` is what the harness around it will be built with.
    """
    requested = release_of(settings.python or DEFAULT_PYTHON)
    binding = settings.binding or default_for(requested)
    found = [stock for stock in process.in_parallel(ask, candidates(env), jobs=settings.jobs) if stock]
    chosen = choose(found, newest=binding.newest_python, requested=requested if settings.python else None)
    if chosen is None:
        console.note("no stock Python with a shared library and headers was found: the fast lane is left out")
        return None
    console.note(f"Stock CPython {chosen.version}: {chosen.library}")
    return Interpreter(
        key=f"stock-{chosen.version}-{sha256_of(chosen.library)[:20]}",
        instrumented=False,
        version=chosen.version,
        free_threaded=chosen.free_threaded,
        debug=chosen.debug,
        prefix=chosen.prefix,
        executable=chosen.executable,
        library=chosen.library,
        include=chosen.include,
        cc=toolchain.candidate.cc,
        cxx=toolchain.candidate.cxx or toolchain.candidate.cc,
        toolchain=toolchain.name,
        runtime=toolchain.runtime,
        runtime_id=toolchain.runtime_id,
    )


def candidates(env: Mapping[str, str]) -> Iterator[Path]:
    """Yield the Pythons on this machine, each real file once: ours, those on PATH, of pyenv, of uv, of conda."""
    seen: set[Path] = set()
    for path in _places(env):
        file = real(path)
        # pyenv's shims start a shell that picks one of the Pythons that are looked at anyway.
        if file not in seen and path.parent.name != "shims" and os.access(file, os.X_OK):
            seen.add(file)
            yield path


def ask(executable: Path) -> Stock | None:
    """Let a Python describe itself; None if it does not answer."""
    try:
        ended = process.run([executable, "-I", "-c", _QUESTION], env=clean_environment(os.environ), timeout=ASK_SECONDS)
        answer: dict[str, Any] = json.loads(ended.stdout) if ended.ok else {}
        paths = {name: Path(answer[name]) for name in ("prefix", "executable", "library", "include")}
        return Stock(**{**answer, **paths})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choose(
    found: Iterable[Stock], *, newest: tuple[int, int], requested: tuple[int, int] | None = None
) -> Stock | None:
    """Return the Python to embed: of the ``requested`` version if there is one, else the newest up to ``newest``.

    Only ordinary builds count: the fast lane finds nothing in free-threaded ones.
    """
    usable = [
        stock
        for stock in found
        if stock.shared
        and not stock.free_threaded
        and OLDEST <= stock.release <= newest
        and is_file(stock.library)
        and is_file(stock.include / "Python.h")
    ]
    return max(
        usable, key=lambda stock: (stock.release == requested, not stock.debug, numbers_of(stock.version)), default=None
    )


def _places(env: Mapping[str, str]) -> Iterator[Path]:
    names = [f"python3.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1)]
    # sys._base_executable is what a virtual environment was made from.
    yield Path(getattr(sys, "_base_executable", "") or sys.executable)
    for name in (*names, "python3"):
        if found := shutil.which(name, path=env.get("PATH")):
            yield Path(found)
    home = Path(env.get("HOME") or "/nonexistent")
    data = Path(env.get("XDG_DATA_HOME") or home / ".local" / "share")
    folders = (
        Path(env.get("PYENV_ROOT") or home / ".pyenv") / "versions",
        Path(env.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python"),
        Path(env.get("CONDA_PREFIX") or "/opt/conda") / "envs",
    )
    for prefix in (
        Path(env.get("CONDA_PREFIX") or "/opt/conda"),
        *(p for f in folders for p in sorted(entries(f, "*"))),
    ):
        for name in names:
            if is_file(prefix / "bin" / name):
                yield prefix / "bin" / name
