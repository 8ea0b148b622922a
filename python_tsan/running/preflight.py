"""Check a command before anything runs, so that no run is a silent no-op; :mod:`.elf` reads ELF files."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.detect.registry import DETECTORS, RECORDED
from python_tsan.errors import SubjectError, UsageError
from python_tsan.process import find_command
from python_tsan.running.elf import ElfFacts, Runtime, is_elf, read_elf
from python_tsan.storage import is_file, open_regular
from python_tsan.toolchain.model import Family

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.toolchain.model import Toolchain

_PYTHON = re.compile(r"python(?:3(?:\.\d+)?[td]*)?$")
_BEHIND_DRIVER = (
    "Possible deadlocks and wrong calls of Python's C API in what the command starts were not judged; "
    "--detect locks,capi does that."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A command that can be run and judged. ``program`` is the ELF file that starts, None behind a driver.

    ``interpreter`` is the one that the program embeds or is, None if it has none built here. ``notes`` are shown.
    ``detect`` are the detectors that the program allows; ``unjudged`` says what the others would have judged.
    """

    command: tuple[str, ...]
    program: ElfFacts | None
    interpreter: Interpreter | None = None
    notes: tuple[str, ...] = ()
    detect: tuple[str, ...] = DETECTORS
    unjudged: tuple[str, ...] = ()


def wants_interpreter(command: Sequence[str]) -> bool:
    """Return whether a command is Python's own: a bare ``python3``, or a ``.py`` file."""
    return bool(_PYTHON.match(command[0])) or command[0].endswith(".py")


def prepare(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    interpreter: Interpreter | None,
    named: bool = False,
    children: bool = False,
    detect: Sequence[str] = (),
) -> Prepared:
    """Find the program and make sure that its findings will be seen. ``named``: the user chose the interpreter.

    ``detect`` names detectors, empty for all that the program allows.

    Raises :class:`SubjectError` for a program that is not there, cannot be executed, is not instrumented, or brings
    another sanitizer runtime than the interpreter's, and :class:`UsageError` for an interpreter that does not fit.
    """
    argv, notes = tuple(command), tuple[str, ...]()
    if not detect or "races" in detect:
        argv, notes = _with_interpreter(argv, cwd, interpreter)
    program = find_command(argv[0], env, cwd=cwd)
    argv = (str(program), *argv[1:])
    facts = _facts(program, children=children, detect=detect)
    if facts is None:
        return Prepared(
            command=argv,
            program=None,
            interpreter=interpreter if named else None,
            notes=notes,
            detect=tuple(detect) or ("races",),
            unjudged=() if RECORDED.intersection(detect) else (_BEHIND_DRIVER,),
        )
    _refuse_two_runtimes(facts, cwd, env)
    embedded = _fitting(facts, interpreter, named=named)
    if facts.embeds_python and embedded is None:
        notes = (
            *notes,
            f"{program.name} embeds another Python; its environment stays as it is",
        )
    if embedded and embedded.free_threaded:
        _refuse_gil(env, argv)
    judged = [name for name in detect or DETECTORS if name != "races" or facts.instrumented]
    why = f"--detect {','.join(detect)}" if facts.instrumented else f"{facts.path.name} has no instrumented code"
    return Prepared(
        command=argv,
        program=facts,
        interpreter=embedded,
        notes=notes,
        detect=tuple(judged),
        unjudged=() if "races" in judged else (f"Races were not judged: {why}.",),
    )


def _with_interpreter(
    command: tuple[str, ...], cwd: Path, interpreter: Interpreter | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Put the interpreter under test in the place of ``python3``, or before a script."""
    if not wants_interpreter(command):
        return command, ()
    if interpreter is None:
        raise SubjectError(
            f"{command[0]} needs a Python built under ThreadSanitizer, and none is built yet",
            advice="`python-tsan build` builds one; --python names one that is elsewhere",
            page="no-interpreter",
        )
    executable = str(interpreter.executable)
    if command[0].endswith(".py"):
        if not (cwd / command[0]).is_file():
            raise SubjectError(f"there is no script {cwd / command[0]}", page="command")
        return (executable, *command), ()
    return (executable, *command[1:]), (
        f"{command[0]} is taken for CPython {interpreter.version} under ThreadSanitizer",
    )


def _facts(program: Path, *, children: bool, detect: Sequence[str]) -> ElfFacts | None:
    """Return the facts of the ELF file that starts; None behind a driver, whose children are judged afterwards.

    Without instrumented code, locks and calls can be judged where a library can be preloaded, and nothing else.
    """
    file = program if is_elf(program) else _shebang(program)
    facts = read_elf(file) if file else None
    if facts is not None and facts.instrumented:
        return facts
    if children:
        return None
    if (
        facts is not None
        and RECORDED.intersection(detect or DETECTORS)
        and (file == program or "races" not in (detect or DETECTORS))
    ):
        if facts.needed:
            return facts
        raise SubjectError(
            f"{facts.path} is statically linked and has no instrumented code, so nothing can be seen in it",
            evidence=program,
            advice="link it with the C library as a shared library, or compile it with -fsanitize=thread",
            page="not-instrumented",
        )
    what = "is a script" if facts is None or file != program else "has no instrumented code"
    raise SubjectError(
        f"{program} {what}, so ThreadSanitizer would see nothing in it",
        evidence=program,
        advice="compile and link it with -fsanitize=thread; when it only starts instrumented programs, add --children",
        page="not-instrumented",
    )


def _shebang(script: Path) -> Path | None:
    with open_regular(script) as file:
        line = file.readline(4096)
    words = line[2:].split() if line.startswith(b"#!") else []
    return Path(os.fsdecode(words[0])) if words else None


def _refuse_two_runtimes(facts: ElfFacts, cwd: Path, env: Mapping[str, str]) -> None:
    folders = [*facts.search, *(part for part in env.get("LD_LIBRARY_PATH", "").split(os.pathsep) if part)]
    for name in facts.needed:
        library = next((path for folder in folders if is_file(path := cwd / folder / name)), None)
        runtime = read_elf(library).runtime if library else Runtime.NONE
        if library and {runtime, facts.runtime} == {Runtime.LLVM, Runtime.GCC}:
            raise SubjectError(
                f"{facts.path.name} has {facts.runtime.value}'s ThreadSanitizer runtime and {library} has "
                f"{runtime.value}'s; one process can hold only one",
                evidence=library,
                advice="build both with one compiler",
                page="two-runtimes",
            )


def _fitting(facts: ElfFacts, interpreter: Interpreter | None, *, named: bool) -> Interpreter | None:
    """Return the interpreter if the program embeds or is it; raise when it cannot hold it."""
    if interpreter is None:
        return None
    library = interpreter.library.name
    linked = library in facts.needed and not _finds_another(facts, interpreter.library)
    is_it = facts.path.resolve() == interpreter.executable.resolve() or linked
    if not is_it:
        if named and facts.embeds_python:
            needed = next(name for name in facts.needed if name.startswith("libpython3"))
            other = _finds_another(facts, interpreter.library) or needed
            raise UsageError(
                f"{facts.path.name} is linked to {other}, and the interpreter that was named has {library}",
                advice='link it again after eval "$(python-tsan build --print-env)"',
                page="two-runtimes",
            )
        return None
    family = {Runtime.LLVM: "clang", Runtime.GCC: "gcc"}.get(facts.runtime)
    if interpreter.instrumented and family and not interpreter.toolchain.startswith(family):
        raise SubjectError(
            f"{facts.path.name} has {facts.runtime.value}'s ThreadSanitizer runtime, and CPython {interpreter.version} "
            f"was built with {interpreter.toolchain}; one process can hold only one",
            evidence=facts.path,
            advice="compile it with the compiler that `python-tsan build --print-env` names",
            page="two-runtimes",
        )
    return interpreter


def _finds_another(facts: ElfFacts, library: Path) -> str:
    """Return the library of the same name that the program's own search path leads to, if it is not ``library``."""
    found = next((path for folder in facts.search if is_file(path := Path(folder) / library.name)), None)
    return str(found) if found and found.resolve() != library.resolve() else ""


def _refuse_gil(env: Mapping[str, str], argv: Sequence[str]) -> None:
    options = " ".join(argv)
    if env.get("PYTHON_GIL") == "1" or re.search(r"-X ?gil=1\b", options):
        raise UsageError(
            "the GIL is switched on by PYTHON_GIL=1 or -X gil=1, so this would not be judged as free-threaded",
            advice="take it away, or choose an interpreter with the GIL",
            page="gil-enabled",
        )


def find_symbolizer(program: ElfFacts | None, toolchain: Toolchain | None, env: Mapping[str, str]) -> Path | None:
    """Return the symbolizer for LLVM's runtime, of its own version if there is one; None for GCC's, which has its own.

    Behind a driver, the toolchain's is taken: its children may be of either family.
    """
    if program is None:
        return toolchain.symbolizer if toolchain and toolchain.candidate.family is Family.CLANG else None
    if program.runtime is Runtime.GCC:
        return None
    majors = [name.partition("-")[2] for name in program.compilers if name.startswith("clang")]
    path = env.get("PATH", os.defpath)
    for major in majors:
        folder = f"/usr/lib/llvm-{major}/bin"
        if found := shutil.which(f"llvm-symbolizer-{major}", path=path) or shutil.which("llvm-symbolizer", path=folder):
            return Path(found)
    if toolchain and toolchain.symbolizer:
        return toolchain.symbolizer
    found = shutil.which("llvm-symbolizer", path=path)
    return Path(found) if found else None


def find_archer(program: ElfFacts | None) -> Path | None:
    """Return the tool that reports OpenMP's synchronization to LLVM's runtime, of the release that compiled a program.

    libomp looks for it by its name alone, and Debian keeps it outside the loader's folders.
    """
    majors = [name.partition("-")[2] for name in program.compilers if name.startswith("clang")] if program else []
    found = (Path(f"/usr/lib/llvm-{major}/lib/libarcher.so") for major in majors)
    return next((path for path in found if path.is_file()), None)


def require_symbolizer(program: ElfFacts | None, symbolizer: Path | None, options: Mapping[str, str]) -> None:
    """Raise :class:`SubjectError` when the findings of LLVM's runtime would have no function names."""
    given = options.get("external_symbolizer_path", "")
    if program is None or program.runtime is not Runtime.LLVM or options.get("symbolize") == "0":
        return
    if given and not Path(given).is_file():
        raise SubjectError(f"the symbolizer of your TSAN_OPTIONS is not there: {given}", page="symbolizer")
    if not given and symbolizer is None:
        raise SubjectError(
            "there is no llvm-symbolizer, so findings would have no function names and no fingerprints that last",
            advice="install LLVM's tools (`python-tsan doctor` prints how), or set TSAN_OPTIONS=symbolize=0 to go on",
            page="symbolizer",
        )
