"""Answer in bulk what ``configure`` would ask the compiler one by one.

Only "yes" is ever answered, and only where the bulk question implies the single one: every function of a program that
links as a whole links alone, and a header is compiled by itself, as ``configure`` would. Everything else
is asked by ``configure`` as always. The answers are handed over in a site file, autoconf's own way to preset them:
https://www.gnu.org/savannah-checkouts/gnu/autoconf/manual/autoconf.html#Site-Defaults
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from python_tsan import process

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

COMPILE_SECONDS = 60.0

# ac_fn_c_check_func "$LINENO" "accept4" "ac_cv_func_accept4"
_FUNCTION = re.compile(
    r'^\s*ac_fn_c_check_func "\$LINENO" "(?P<name>\w+)" "(?P<variable>ac_cv_func_\w+)"$', re.MULTILINE
)
# ac_fn_c_check_header_compile "$LINENO" "sys/param.h" "ac_cv_header_sys_param_h" "$ac_includes_default"
_HEADER = re.compile(
    r'^\s*ac_fn_c_check_header_compile "\$LINENO" "(?P<name>[\w./+-]+)" "(?P<variable>ac_cv_header_\w+)"'
    r' "\$ac_includes_default"$',
    re.MULTILINE,
)
# ld.lld: warning: undefined symbol: kqueue   /   ld: f.c:(.data+0x8): warning: undefined reference to `kqueue'
_UNDEFINED = re.compile(r"undefined (?:symbol: |reference to [`'])(?P<name>\w+)")
# header12.c:11:10: fatal error: 'kvm.h' file not found   /   In file included from header12.c:11:
_BROKEN = re.compile(r"\bheader(?P<number>\d+)\.c\b")

# What autoconf includes before each header that it tries.
_DEFAULT_INCLUDES = "".join(
    f"#include <{name}.h>\n"
    for name in [
        *("stddef", "stdio", "stdlib", "string", "inttypes", "stdint", "strings", "sys/types", "sys/stat", "unistd"),
    ]
)


def questions(configure: str, pattern: re.Pattern[str]) -> dict[str, str]:
    """Return the names that a configure script asks for by ``pattern``, each with its cache variable.

    A variable that the script also sets by other means answers another question, and is left out.
    """
    found = {match["name"]: match["variable"] for match in pattern.finditer(configure)}
    set_otherwise = {match[1] for match in re.finditer(r"\b(ac_cv_(?:func|header)_\w+)=", configure)}
    return {name: variable for name, variable in found.items() if variable not in set_otherwise}


def write_presets(
    configure: Path, folder: Path, *, compiler: Sequence[str], linker: Sequence[str], env: Mapping[str, str], jobs: int
) -> Path:
    """Answer what can be answered and write the site file; return its path.

    ``compiler`` is the command that compiles with the build's own flags, ``linker`` what is added to it for linking.
    ``folder`` is made and takes the trial programs. Raises ``OSError`` when the compiler cannot be started.
    """
    folder.mkdir()
    text = configure.read_text(encoding="utf-8", errors="replace")
    functions, headers = questions(text, _FUNCTION), questions(text, _HEADER)
    linked = linked_functions(functions, folder, command=[*compiler, *linker], env=env)
    compiled = compiled_headers(list(headers), folder, command=compiler, env=env, jobs=jobs)
    variables = sorted({functions[name] for name in linked} | {headers[name] for name in compiled})
    site = folder / "config.site"
    site.write_text("".join(f"{variable}=yes\n" for variable in variables))
    return site


def linked_functions(
    names: Collection[str], folder: Path, *, command: Sequence[str], env: Mapping[str, str]
) -> set[str]:
    """Return those functions that a program can be linked with, as the C library has them; none if in doubt."""
    if not names:
        return set()
    first = _link(sorted(names), folder, [*command, "-Wl,--warn-unresolved-symbols"], env)
    if not first.ok:
        return set()
    undefined = {found["name"] for found in _UNDEFINED.finditer(first.stderr)}
    left = set(names) - undefined - _stubs(names, folder, command, env)
    # The proof: without leave to ignore anything, the rest links.
    return left if _link(sorted(left), folder, command, env).ok else set()


def _stubs(names: Collection[str], folder: Path, command: Sequence[str], env: Mapping[str, str]) -> set[str]:
    """Return those functions that the C library has in name only: it defines ``__stub_NAME`` for each."""
    source = folder / "stubs.c"
    lines = [f"#if defined __stub_{name} || defined __stub___{name}\nstub:{name}\n#endif\n" for name in names]
    source.write_text("#include <limits.h>\n" + "".join(lines))
    ended = process.run([*command, "-E", "-P", source], cwd=folder, env=env, timeout=COMPILE_SECONDS)
    return set(re.findall(r"stub:\s*(\w+)", ended.stdout)) if ended.ok else set(names)


def _link(names: Sequence[str], folder: Path, command: Sequence[str], env: Mapping[str, str]) -> process.Completed:
    """Link a program that refers to each function, under the type that autoconf gives it."""
    declarations = "".join(f"char {name}(void);\n" for name in names)
    uses = "".join(f"    (void *){name},\n" for name in names)
    source = folder / "functions.c"
    source.write_text(
        f"{declarations}void *volatile used[] = {{\n{uses}    0\n}};\nint main(void) {{ return used[0] == 0; }}\n"
    )
    arguments = ["-fno-builtin", "-w", "-o", str(folder / "functions"), str(source)]
    return process.run([*command, *arguments], cwd=folder, env=env, timeout=COMPILE_SECONDS)


def compiled_headers(
    names: Sequence[str], folder: Path, *, command: Sequence[str], env: Mapping[str, str], jobs: int
) -> set[str]:
    """Return those headers that compile, each in a source file of its own, several files to a compiler run."""
    for number, name in enumerate(names):
        (folder / f"header{number}.c").write_text(f"{_DEFAULT_INCLUDES}#include <{name}>\n")
    batches = [list(range(start, len(names), jobs)) for start in range(min(jobs, len(names)))]

    def compile_batch(numbers: list[int]) -> set[int]:
        files = [f"header{number}.c" for number in numbers]
        ended = process.run([*command, "-w", "-fsyntax-only", *files], cwd=folder, env=env, timeout=COMPILE_SECONDS)
        broken = {int(found["number"]) for found in _BROKEN.finditer(ended.stderr)}
        # A failure that names no file is not understood: then nothing is answered.
        understood = ended.ok or (bool(broken) and not ended.timed_out)
        return set(numbers) - broken if understood else set()

    return {names[number] for good in process.in_parallel(compile_batch, batches, jobs=jobs) for number in good}
