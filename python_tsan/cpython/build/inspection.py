"""Check a new interpreter before it is used: it runs, its version fits, it is instrumented."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from python_tsan import process
from python_tsan.cpython.environment import clean_environment
from python_tsan.cpython.manifest import Interpreter, SourceRecord
from python_tsan.cpython.plan import SANITIZER
from python_tsan.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.toolchain.model import Toolchain

RUN_SECONDS = 120.0

# Every instrumented function calls it on entry, from LLVM's and from GCC's compilers.
ENTRY_SYMBOL = "__tsan_func_entry"

_QUESTION = """\
import json, sys, sysconfig
print(json.dumps({
    "version": sys.version.split()[0].rstrip("+"),
    "debug": hasattr(sys, "gettotalrefcount"),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "cflags": sysconfig.get_config_var("CFLAGS"),
    "config_args": sysconfig.get_config_var("CONFIG_ARGS"),
}))
"""


def describe_built(
    plan: BuildPlan, source: SourceRecord, toolchain: Toolchain, *, staged: Path, final: Path
) -> Interpreter:
    """Return the manifest of the interpreter under ``staged``, which will be moved to ``final``.

    Raises ``BuildError`` when it does not run there by itself, or does not match the plan.
    """
    executable = staged / "bin" / plan.executable_name
    library = staged / "lib" / f"libpython{plan.abi_name}.so.1.0"
    if not library.is_file():
        raise BuildError(f"the build ended without {library.name}", evidence=library.parent)
    answer = _ask(executable, toolchain.launcher)
    wrong = [
        *_differences(plan, answer),
        *(f"{path.name} is not instrumented" for path in (executable, library) if not is_instrumented(path)),
    ]
    if wrong:
        raise BuildError(
            f"the interpreter does not match the plan: {'; '.join(wrong)}",
            evidence=executable,
            advice="please report this with the log folder: the plan does not fit this release",
        )
    return Interpreter(
        key=plan.key,
        instrumented=True,
        version=plan.version,
        free_threaded=plan.free_threaded,
        debug=plan.debug,
        prefix=final,
        executable=final / executable.relative_to(staged),
        library=final / library.relative_to(staged),
        include=final / "include" / f"python{plan.abi_name}",
        cc=toolchain.candidate.cc,
        cxx=toolchain.candidate.cxx or toolchain.candidate.cc,
        toolchain=toolchain.name,
        runtime=toolchain.runtime,
        runtime_id=toolchain.runtime_id,
        source=source,
        flags=plan.flags,
        configure=plan.configure.argv,
    )


def is_instrumented(path: Path) -> bool:
    """Return whether an ELF file's code calls the sanitizer. Other files are not instrumented."""
    try:
        with path.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".dynsym")
            return isinstance(table, SymbolTableSection) and bool(table.get_symbol_by_name(ENTRY_SYMBOL))
    except (OSError, ELFError):
        return False


def _ask(executable: Path, launcher: tuple[str, ...]) -> dict[str, object]:
    ended = process.run(
        [*launcher, executable, "-I", "-S", "-B", "-c", _QUESTION],
        env=clean_environment(os.environ),
        timeout=RUN_SECONDS,
    )
    try:
        answer = json.loads(ended.stdout) if ended.ok else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise BuildError(
            f"the new interpreter does not run (exit code {ended.exit_code}): {ended.stderr.strip()[-2000:]}",
            evidence=executable,
            advice="`python-tsan doctor` shows whether instrumented programs run on this machine",
        )
    return answer


def _differences(plan: BuildPlan, answer: dict[str, object]) -> list[str]:
    expected = {"version": plan.version, "debug": plan.debug, "free_threaded": plan.free_threaded}
    wrong = [
        f"{name} is {answer.get(name)!r}, not {value!r}"
        for name, value in expected.items()
        if answer.get(name) != value
    ]
    if SANITIZER not in str(answer.get("cflags")).split():
        wrong.append(f"sysconfig's CFLAGS lack {SANITIZER}")
    return wrong
