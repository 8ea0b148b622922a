"""Resolve return addresses to C functions, after the recorded program has ended."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from python_tsan import process
from python_tsan.storage import is_file
from python_tsan.tsan.frames import plain_symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SECONDS = 120.0
_UNKNOWN = "??"
# Suffixes that compilers give to parts and specialised copies of a function.
_COPY = re.compile(r"\.(constprop|isra|part|cold|lto_priv|llvm)\b.*$")
# Functions of the C++ library.
_STANDARD = re.compile(r"(?:std|__gnu_cxx)::")
# `os_stat_impl at ./Modules/posixmodule.c:2345 (discriminator 2)`
_ADDR2LINE = re.compile(r"^(?P<name>.+) at (?P<file>.+?):(?P<line>\d+|\?)(?: \(discriminator \d+\))?$")


class CFunction(NamedTuple):
    """A C function at a call site. ``file`` and ``line`` are empty without debug information."""

    name: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A call in C: where it returns to, and its functions, inlined ones first.

    ``functions`` is empty if the library has no symbol for the address.
    """

    library: str
    offset: int
    functions: tuple[CFunction, ...] = ()

    @property
    def name(self) -> str:
        """The innermost function, else the offset in the library."""
        return self.functions[0].name if self.functions else f"{self.library.rpartition('/')[2]}+{self.offset:#x}"

    @property
    def chain(self) -> str:
        """All functions, outermost last, with the line of the innermost: ``a (f.c:3) < b``."""
        if not self.functions:
            return self.name
        first = self.functions[0]
        where = f" ({first.file.rpartition('/')[2]}:{first.line})" if first.file else ""
        return " < ".join([first.name + where, *(function.name for function in self.functions[1:])])


def symbolise(places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Site]:
    """Return the call site of each (library, offset), where the offset is a return address minus the load base.

    An address without a symbol gives a site without functions: the nearest exported name may be another function's.
    """
    by_library: dict[str, set[int]] = defaultdict(set)
    for library, offset in places:
        by_library[library].add(offset)
    return {
        (library, offset): Site(library=library, offset=offset, functions=functions)
        for library, offsets in by_library.items()
        for offset, functions in _functions(library, sorted(offsets)).items()
    }


def thread_variable_names(places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Return the same as :func:`variable_names` for offsets in the part of a library that each thread has."""
    return variable_names(places, "STT_TLS")


def variable_names(places: Iterable[tuple[str, int]], kind: str = "STT_OBJECT") -> dict[tuple[str, int], str]:
    """Return the variable with static storage at each (library, offset), for those that are in a symbol table.

    An address inside of a variable is called by it and the distance: ``service+0x28``.
    """
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for library, offset in places:
        with contextlib.suppress(OSError, ELFError):
            spans = _spans(library, kind)
            inside = next(((name, offset - first) for first, last, name in spans if first <= offset < last), None)
            if inside:
                found[library, offset] = inside
    plain = demangled(name for name, _ in found.values())
    return {
        place: f"{plain[name]}+{distance:#x}" if distance else plain[name] for place, (name, distance) in found.items()
    }


def demangled(names: Iterable[str]) -> dict[str, str]:
    """Return names as a C++ programmer writes them, by the symbol table's; as they are without a demangler."""
    plain = {name: name for name in names}
    mangled = [name for name in plain if name.startswith("_Z")]
    program = shutil.which("c++filt") or shutil.which("llvm-cxxfilt")
    if mangled and program:
        with contextlib.suppress(OSError):
            ended = process.run([program, *mangled], timeout=SECONDS)
            lines = ended.stdout.splitlines()
            if ended.ok and len(lines) == len(mangled):
                plain |= dict(zip(mangled, lines, strict=True))
    return plain


def _functions(library: str, offsets: Sequence[int]) -> dict[int, tuple[CFunction, ...]]:
    by_debugger = _ask_addr2line(library, offsets) if is_file(Path(library)) else {}
    missing = [offset for offset in offsets if not by_debugger.get(offset)]
    by_symbol = _from_symbols(library, missing) if missing else {}
    return {offset: by_debugger.get(offset) or by_symbol.get(offset, ()) for offset in offsets}


def _ask_addr2line(library: str, offsets: Sequence[int]) -> Mapping[int, tuple[CFunction, ...]]:
    program = shutil.which("addr2line") or shutil.which("llvm-addr2line")
    if program is None or not _has_lines(library):
        return {}
    # A return address is the next instruction's, which may belong to another line.
    addresses = [hex(offset - 1) for offset in offsets]
    command = [program, "-a", "-i", "-f", "-p", "-C", "-e", library, *addresses]
    try:
        ended = process.run(command, timeout=SECONDS)
    except OSError:
        return {}
    return dict(zip(offsets, parse_addr2line(ended.stdout), strict=False)) if ended.ok else {}


def parse_addr2line(text: str) -> list[tuple[CFunction, ...]]:
    """Return for each address its functions, innermost first, from the output of ``addr2line -a -i -f -p``."""
    answers: list[tuple[CFunction, ...]] = []
    for line in text.splitlines():
        # 0x0000000000123455: os_stat_impl at ./Modules/posixmodule.c:2345
        #  (inlined by) os_stat at ./Modules/clinic/posixmodule.c.h:77
        address, _, rest = line.partition(": ")
        inlined = line.startswith(" (inlined by) ")
        if not inlined and not address.startswith("0x"):
            continue
        match = _ADDR2LINE.match(line.removeprefix(" (inlined by) ") if inlined else rest)
        known = match is not None and not match["name"].startswith(_UNKNOWN)
        here = (_function(match["name"], match["file"], match["line"]),) if match and known else ()
        if inlined:
            answers[-1] += here
        else:
            answers.append(here)
    return [tuple(_renamed(functions)) for functions in answers]


def _renamed(functions: Sequence[CFunction]) -> Iterator[CFunction]:
    """Give a lambda that was inlined into a function of the C++ library its name.

    GNU addr2line gives the innermost function without a linkage name, such as a lambda's, that of the outermost one,
    by the table of symbols: ``std::thread::_State_impl<...>::_M_run()``.
    """
    if len(functions) > 1 and _STANDARD.match(functions[0].name) and _called(functions[0].name) == functions[-1].name:
        first, *others, last = functions
        yield first._replace(name="operator()")
        yield from others
        yield last._replace(name=first.name)
    else:
        yield from functions


def _called(name: str) -> str:
    """Return a function's name alone: no scope, template or parameters."""
    return plain_symbol(name).rpartition("::")[2]


def _function(name: str, file: str, line: str) -> CFunction:
    unknown = file.startswith(_UNKNOWN)
    return CFunction(_COPY.sub("", name), "" if unknown else file, int(line) if line.isdigit() else 0)


@cache
def _has_lines(library: str) -> bool:
    """Return whether the library has line tables; without them, addr2line guesses the function."""
    try:
        with Path(library).open("rb") as file:
            elf = ELFFile(file)
            return any(elf.get_section_by_name(name) for name in (".debug_line", ".zdebug_line"))
    except (OSError, ELFError):
        return False


def _from_symbols(library: str, offsets: Sequence[int]) -> dict[int, tuple[CFunction, ...]]:
    try:
        spans = _spans(library, "STT_FUNC")
    except (OSError, ELFError):
        return {}
    found: dict[int, str] = {}
    for offset in offsets:
        name = next((name for first, last, name in spans if first <= offset - 1 < last), None)
        if name:
            found[offset] = name
    plain = demangled(found.values())
    return {offset: (CFunction(_COPY.sub("", plain[name])),) for offset, name in found.items()}


@cache
def _spans(library: str, kind: str) -> tuple[tuple[int, int, str], ...]:
    """Return first address, end and name of every symbol of this kind in the library's symbol tables."""
    with Path(library).open("rb") as file:
        return tuple(
            (symbol["st_value"], symbol["st_value"] + symbol["st_size"], symbol.name)
            for section in ELFFile(file).iter_sections()
            if isinstance(section, SymbolTableSection)
            for symbol in section.iter_symbols()
            if symbol["st_info"]["type"] == kind and symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_size"]
        )
