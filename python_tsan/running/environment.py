"""Compose the environment of the user's command."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.environment import compose_environment
from python_tsan.cpython.environment import subject_environment
from python_tsan.detect.locks import PRELOAD_VARIABLE
from python_tsan.process import preloading
from python_tsan.running.companion import FOLDER_VARIABLE
from python_tsan.running.elf import is_runtime
from python_tsan.running.preflight import find_archer, find_symbolizer, require_symbolizer
from python_tsan.running.record import SEED_VARIABLE
from python_tsan.storage import real
from python_tsan.tsan.options import parse_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.running.preflight import Prepared
    from python_tsan.toolchain.model import Toolchain

# Read by the jemalloc of Rust libraries (tikv-jemalloc-sys), and by nothing else.
JEMALLOC_VARIABLE = "_RJEM_MALLOC_CONF"
OPENMP_VARIABLE = "OMP_TOOL_LIBRARIES"
_HASH_SEEDS = 1 << 32
# The program would see them without this package too.
_KEPT = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHON_TSAN_SHIMS")


def environment_for(
    prepared: Prepared,
    *,
    caller: Mapping[str, str],
    toolchain: Toolchain | None,
    suppressions: Path | None,
    companion: tuple[Path, Path] | None,
    recorder: Path | None = None,
) -> SubjectEnvironment:
    """Return the environment of the command: the caller's, and what a sound verdict needs.

    A program that holds none of our interpreters keeps the caller's Python variables: they may be for its own.
    ``companion`` is the library and the folder that it writes to, ``recorder`` the one that records locks.

    Raises :class:`SubjectError` when there is no symbolizer for the program's findings.
    """
    base, notes = _python_environment(prepared, prepared.interpreter, caller) if prepared.interpreter else (caller, ())
    options = {"print_suppressions": "1"}
    symbolizer = find_symbolizer(prepared.program, toolchain, caller)
    require_symbolizer(prepared.program, symbolizer, parse_options(caller.get("TSAN_OPTIONS", "")).values)
    if symbolizer:
        options["external_symbolizer_path"] = str(symbolizer)
    if suppressions:
        options["suppressions"] = str(suppressions)
    needed = prepared.program.needed if prepared.program else caller.get("LD_PRELOAD", "").split(os.pathsep)
    runtime = next(filter(is_runtime, needed), "")
    extra = {"LD_PRELOAD": caller["LD_PRELOAD"]} if caller.get("LD_PRELOAD") else {}
    libraries = [each for each in (companion[0] if companion else None, None if runtime else recorder) if each]
    if libraries:
        extra = preloading(libraries, {**base, **extra})
    if companion:
        extra[FOLDER_VARIABLE] = str(companion[1])
    if runtime and recorder:
        extra[PRELOAD_VARIABLE] = os.pathsep.join([runtime, str(recorder)])
    if JEMALLOC_VARIABLE not in caller:
        # Its background thread is unknown to the runtime, and the first intercepted call there ends the process.
        extra[JEMALLOC_VARIABLE] = "background_thread:false"
    if OPENMP_VARIABLE not in caller and (archer := find_archer(prepared.program)):
        extra[OPENMP_VARIABLE] = str(archer)
    if prepared.interpreter and SEED_VARIABLE not in caller:
        # CPython draws one by itself; drawn here, it is known afterwards.
        extra[SEED_VARIABLE] = str(secrets.randbelow(_HASH_SEEDS))
    environment = compose_environment(base, options=options, extra=extra)
    return replace(environment, notes=(*notes, *environment.notes))


def _python_environment(
    prepared: Prepared, interpreter: Interpreter, caller: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the environment for a program that is or embeds ``interpreter``, and what to say about it.

    An embedded CPython searches ``PATH`` for ``python3`` and takes a ``pyvenv.cfg`` next to its folder for its own
    (Modules/getpath.py), also when ``PYTHONHOME`` is set: with an activated virtual environment of another Python it
    finds none of its packages. So its own folder comes first in ``PATH``.
    """
    kept = {name: caller[name] for name in _KEPT if name in caller}
    variables = {**subject_environment(interpreter, caller), **kept}
    if prepared.program and prepared.program.path.resolve() == interpreter.executable.resolve():
        return variables, ()
    active = _virtual_environment(caller)
    home, own = active or ("", None)
    if own and real(home) == real(interpreter.executable.parent):
        return variables, (f"the active virtual environment {own} is of this interpreter, so its packages are used",)
    folder = str(interpreter.executable.parent)
    variables["PATH"] = os.pathsep.join([folder, caller.get("PATH", os.defpath)])
    note = f"the active virtual environment {own} is of another Python, so the interpreter's own packages are used"
    return variables, (note,) if own else ()


def _virtual_environment(env: Mapping[str, str]) -> tuple[str, Path] | None:
    """Return the virtual environment that an embedded CPython would find, after the folder of its Python."""
    found = shutil.which("python3", path=env.get("PATH", os.defpath))
    folder = Path(found).parent.parent if found else Path()
    try:
        lines = (folder / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    values = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    return values.get("home", ""), folder
