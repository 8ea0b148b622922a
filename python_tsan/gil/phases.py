"""Determine what a release was for: the phase of an import, from the Python frames and the C function; pure.

importlib's own frames decide where they can, because they exist even for a libpython without symbols. The C function
distinguishes steps of one frame, such as opening a file and reading it. The names are those of CPython 3.11 to 3.14:
https://github.com/python/cpython/blob/3.14/Lib/importlib/_bootstrap.py and ``_bootstrap_external.py`` next to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from python_tsan.gil.trace import GilCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from python_tsan.gil.trace import Node
    from python_tsan.symbols import CFunction


class Phase(Enum):
    """What a thread did when it released the GIL."""

    PATH_STAT = "path stat"
    LISTING = "directory listing"
    GETCWD = "getcwd"
    OPEN = "open"
    READ = "read"
    PYC_WRITE = ".pyc write"
    DLOPEN = "dlopen"
    BODY = "body"
    MODULE_LOCK = "module-lock wait"
    GLOBAL_LOCK = "global import lock"
    FORCED = "forced switch"
    OTHER = "other"


MEANINGS = {
    Phase.PATH_STAT: "checking whether a file or folder of the module path exists, and its age",
    Phase.LISTING: "listing a folder of the module path, one release for each name",
    Phase.GETCWD: "getting the working directory, because an entry of the module path is empty or relative",
    Phase.OPEN: "opening a .py, .pyc or extension file",
    Phase.READ: "reading such a file, including its size, position and close",
    Phase.PYC_WRITE: "writing a .pyc file",
    Phase.DLOPEN: "loading an extension and running its initialisation",
    Phase.BODY: "a call in a module's own body",
    Phase.MODULE_LOCK: "waiting for the lock of a module that another thread imports",
    Phase.GLOBAL_LOCK: "waiting for the lock of the whole import system",
    Phase.FORCED: "a switch in the middle of Python code, because another thread had waited for 5 ms",
    Phase.OTHER: "not part of an import, or a part without a name here",
}

_IMPORTLIB = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", "<frozen zipimport>")
# By the innermost frame of importlib, regardless of the C function.
_BY_FRAME = {
    "_ImportLockContext.__enter__": Phase.GLOBAL_LOCK,
    "_get_module_lock": Phase.GLOBAL_LOCK,
    "_get_module_lock.<locals>.cb": Phase.GLOBAL_LOCK,
    "_ModuleLock.acquire": Phase.MODULE_LOCK,
    "_ModuleLock.release": Phase.MODULE_LOCK,
    "_ModuleLock.has_deadlock": Phase.MODULE_LOCK,
    "_ModuleLockManager.__enter__": Phase.MODULE_LOCK,
    "_lock_unlock_module": Phase.MODULE_LOCK,
}
_WRITERS = {"_write_atomic", "SourceFileLoader._cache_bytecode", "SourceFileLoader.set_data"}
# By the C function, searched among those of the call site.
_BY_FUNCTION = {
    "os_getcwd": Phase.GETCWD,
    "posix_getcwd": Phase.GETCWD,
    "os_listdir": Phase.LISTING,
    "_posix_listdir": Phase.LISTING,
    "os_stat": Phase.PATH_STAT,
    "posix_do_stat": Phase.PATH_STAT,
    "_Py_open": Phase.OPEN,
    "_Py_fopen_obj": Phase.OPEN,
    # Its fstat is in the same function and counts with it.
    "_io_FileIO___init__": Phase.OPEN,
    "_io_open_code": Phase.OPEN,
}
# By the innermost frame, if no C function of the call site is known.
_OTHERWISE = {
    "_path_stat": Phase.PATH_STAT,
    "FileFinder._fill_cache": Phase.LISTING,
    "PathFinder._path_importer_cache": Phase.GETCWD,
    "_path_abspath": Phase.GETCWD,
    "FileLoader.get_data": Phase.READ,
    "ExtensionFileLoader.create_module": Phase.DLOPEN,
    "ExtensionFileLoader.exec_module": Phase.DLOPEN,
    "_call_with_frames_removed": Phase.DLOPEN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a release was for: its phase and the innermost module that was being imported, empty if none was."""

    phase: Phase
    module: str


def explain(*, call: int, switched: bool, functions: Sequence[CFunction], frames: Sequence[Node]) -> Meaning:
    """Return what a release was for. ``frames`` are innermost first; ``switched``: another thread ran meanwhile.

    A release without a call is a forced switch if another thread ran, because the eval breaker waits for that:
    ``drop_gil`` in https://github.com/python/cpython/blob/3.14/Python/ceval_gil.c. Otherwise a thread or an
    interpreter ended.
    """
    module = next((frame.imports for frame in frames if frame.imports), "")
    if call == GilCall.INTERNAL:
        return Meaning(phase=Phase.FORCED if switched else Phase.OTHER, module=module)
    if not module:
        return Meaning(phase=Phase.OTHER, module="")
    return Meaning(phase=_phase(functions, frames), module=module)


def _phase(functions: Sequence[CFunction], frames: Sequence[Node]) -> Phase:
    inner = [frame.function for frame in _own_frames(frames)]
    if not inner:
        return Phase.BODY if any(frame.body for frame in _until_import(frames)) else Phase.OTHER
    if inner[0] in _BY_FRAME:
        return _BY_FRAME[inner[0]]
    if _WRITERS.intersection(inner):
        return Phase.PYC_WRITE
    names = [function.name.removesuffix("_impl") for function in functions]
    by_function = next((_BY_FUNCTION[name] for name in names if name in _BY_FUNCTION), None)
    if by_function:
        return by_function
    return _OTHERWISE.get(inner[0], Phase.OTHER)


def _own_frames(frames: Iterable[Node]) -> Iterable[Node]:
    """Yield importlib's frames at the inner end of the stack."""
    for frame in frames:
        if frame.file not in _IMPORTLIB:
            return
        yield frame


def _until_import(frames: Iterable[Node]) -> Iterable[Node]:
    """Yield the frames inside the innermost import."""
    for frame in frames:
        yield frame
        if frame.imports:
            return
