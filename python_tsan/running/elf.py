"""Read what an ELF file contains: instrumented code or none, which runtime, which build.

Symbols decide, never flags or names: a file may be linked to the runtime and hold no instrumented code at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection

from python_tsan.storage import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"\x7fELF"
ENTRY = "__tsan_init"
FENCE = "__tsan_atomic_thread_fence"
# bool __tsan::OnReport(const ReportDesc*, bool): a report for which it is true is not printed. The runtime's is weak.
_ON_REPORT = "_ZN6__tsan8OnReportEPKNS_10ReportDescEb"
# What moves the reports of a process elsewhere. A file that has the runtime inside has these, too, called or not.
_DIVERTING = ("__sanitizer_set_report_path", "__sanitizer_set_report_fd")
# What every instrumented translation unit leaves in a file that has not been stripped: LLVM's constructor, GCC's.
_CONSTRUCTOR = re.compile(r"tsan\.module_ctor|(?:_GLOBAL_)?_sub_I_\d+_0")
_CALL_BYTES, _PART = 5, 1 << 16  # of call rel32 and jmp rel32; of the code that is searched at once
_UNDEFINED, _WEAK = 0, 2  # SHN_UNDEF, STB_WEAK
_SHARED_GCC = re.compile(r"libtsan\.so")
_SHARED_LLVM = re.compile(r"libclang_rt\.tsan")
# GCC: (Debian 12.2.0-14) 12.2.0 / Debian clang version 19.1.7 (3)
_CLANG_VERSION = re.compile(r"clang version (\d+)")
_GCC_VERSION = re.compile(r"GCC: \([^)]*\) (\d+)")


def is_runtime(path: str) -> bool:
    """Return whether a file is, by its name, a sanitizer runtime that is a shared library."""
    return bool(_SHARED_GCC.search(path) or _SHARED_LLVM.search(path))


class Runtime(Enum):
    """Which sanitizer runtime a file brings into a process, if any."""

    NONE = "none"
    LLVM = "LLVM"
    GCC = "GCC"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """What one file says. ``instrumented`` is None when it cannot be read or is no ELF file.

    ``runtime`` is the one that the file brings itself, by linking it or by needing its library; ``compilers`` are names
    such as ``clang-19`` from its comment, ``needed`` the names of libraries, ``search`` the folders for them.
    ``fences`` and ``coroutines`` say whether it is known to call atomic_thread_fence, and to have C++ coroutines.
    ``silencers`` say what of it can keep reports of the runtime from its log.
    """

    path: Path
    instrumented: bool | None
    runtime: Runtime = Runtime.NONE
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    soname: str = ""
    build_id: str = ""
    compilers: tuple[str, ...] = ()
    fences: bool = False
    coroutines: bool = False
    silencers: tuple[str, ...] = ()

    @property
    def embeds_python(self) -> bool:
        """Whether it needs a libpython."""
        return any(name.startswith("libpython3") for name in self.needed)


def is_elf(path: Path) -> bool:
    """Return whether a file begins as ELF files do; a file that cannot be read does not."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_elf(path: Path) -> ElfFacts:
    """Read one file, once as long as it does not change. Never raises: what cannot be read is not known."""
    try:
        status = path.stat()
    except OSError:
        return ElfFacts(path=path, instrumented=None)
    return _read_once(path, status.st_mtime_ns, status.st_size)


def code_digest(path: Path) -> str:
    """Return the SHA-256 of a file's machine code alone, empty where that cannot be read.

    Two machines that build one source differ in more: the folder in the debug information, and with it the build id.
    """
    try:
        with open_regular(path) as file:
            section = ELFFile(file).get_section_by_name(".text")
            return hashlib.sha256(section.data()).hexdigest() if section is not None else ""
    except (OSError, ELFError, ValueError, KeyError, AttributeError, UnicodeDecodeError, TypeError):
        return ""


@lru_cache(maxsize=512)
def _read_once(path: Path, _changed: int, _size: int) -> ElfFacts:
    try:
        with open_regular(path) as file:
            return _read(path, file)
    # pyelftools raises the errors of its parsers when a file is truncated.
    except (OSError, ELFError, ValueError, KeyError, AttributeError, UnicodeDecodeError, TypeError):
        return ElfFacts(path=path, instrumented=None)


def _read(path: Path, file: BinaryIO) -> ElfFacts:
    elf = ELFFile(file)
    defined, imported = _tsan_symbols(elf.get_section_by_name(".dynsym"))
    table = elf.get_section_by_name(".symtab")
    dynamic = elf.get_section_by_name(".dynamic")
    needed, search, soname = _dynamic(dynamic) if isinstance(dynamic, DynamicSection) else ((), (), "")
    compilers = tuple(_compilers(elf))
    brings = ENTRY in defined
    return ElfFacts(
        path=path,
        # GCC puts an object that calls ENTRY into every program, also into one that was compiled without the sanitizer.
        instrumented=_instrumented(table, starts=brings or ENTRY in imported, calls=bool(imported - {ENTRY})),
        runtime=_runtime(needed, compilers, brings=brings),
        needed=needed,
        search=tuple(folder.replace("$ORIGIN", str(path.parent)) for folder in search),
        soname=soname,
        build_id=_build_id(elf),
        compilers=compilers,
        fences=FENCE in imported or (FENCE in defined and not is_runtime(path.name) and _calls_fence(elf)),
        coroutines=_has_coroutines(table),
        silencers=() if is_runtime(path.name) else tuple(_silencers(elf.get_section_by_name(".dynsym"), table)),
    )


def _silencers(dynamic: object, table: object) -> Iterator[str]:
    """Yield what a file does that can keep reports from the log of the run."""
    tables = [each for each in (dynamic, table) if isinstance(each, SymbolTableSection)]
    if any(symbol.defined and not symbol.weak for each in tables for symbol in _named(each, _ON_REPORT)):
        yield "defines __tsan::OnReport"
    for name in _DIVERTING:
        if any(not symbol.defined and not symbol.weak for each in tables[:1] for symbol in _named(each, name)):
            yield f"calls {name}"


def _named(table: SymbolTableSection, name: str) -> Iterator[_Symbol]:
    wanted = name.encode() + b"\0"
    return _symbols(table, wanted) if wanted in table.stringtable.data() else iter(())


def _calls_fence(elf: ELFFile) -> bool:
    """Return whether the code of a file that has the runtime inside calls its FENCE; not known but for x86-64.

    ``call`` and ``jmp`` are one byte and the distance from the next instruction, of which a part of the code knows the
    upper half. The runtime does not call the function itself.
    """
    text, table = elf.get_section_by_name(".text"), elf.get_section_by_name(".dynsym")
    if text is None or elf["e_machine"] != "EM_X86_64" or not isinstance(table, SymbolTableSection):
        return False
    code, first = text.data(), text["sh_addr"]
    for symbol in _named(table, FENCE):
        for start in range(0, len(code), _PART):
            farthest = symbol.value - (first + start)
            upper = {struct.pack("<h", distance // _PART) for distance in (farthest, farthest - _PART - _CALL_BYTES)}
            call = re.compile(rb"[\xe8\xe9](?=(..(?:%s)))" % b"|".join(map(re.escape, upper)), re.DOTALL)
            for match in call.finditer(code, start, start + _PART + _CALL_BYTES):
                after = first + match.start() + _CALL_BYTES
                if after + int.from_bytes(match[1], "little", signed=True) == symbol.value:
                    return True
    return False


def _has_coroutines(table: object) -> bool:
    """Return whether a function of a file is the body of a coroutine, as Clang and GCC name it."""
    if not isinstance(table, SymbolTableSection):
        return False
    names = table.stringtable.data()
    return any(ending in names for ending in (b".resume\0", b".actor\0"))


def _instrumented(table: object, *, starts: bool, calls: bool) -> bool:
    """Decide by the calls that the file makes. Where it holds the runtime itself, those are not left to be seen."""
    if calls or not starts:
        return calls
    if not isinstance(table, SymbolTableSection):
        return True  # stripped: nothing speaks against it
    return any(_CONSTRUCTOR.fullmatch(symbol.name) for symbol in _symbols(table))


class _Symbol(NamedTuple):
    name: str
    defined: bool
    weak: bool
    value: int


def _symbols(table: SymbolTableSection, prefix: bytes = b"") -> Iterator[_Symbol]:
    """Yield the symbols whose names begin with ``prefix``: pyelftools takes 20 times as long, on the way of every run.

    The two layouts of an entry: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.symtab.html
    """
    elf, names, data = table.elffile, table.stringtable.data(), table.data()
    wide = elf.elfclass == 64  # noqa: PLR2004 -- bits
    layout = struct.Struct(("<" if elf.little_endian else ">") + ("IBBHQ8x" if wide else "II4xBBH"))
    for start, *row in layout.iter_unpack(data[: len(data) // layout.size * layout.size]):
        info, _, section, value = row if wide else (*row[1:], row[0])
        if names.startswith(prefix, start):
            name = names[start : names.find(b"\0", start)].decode("utf-8", errors="replace")
            yield _Symbol(name, defined=section != _UNDEFINED, weak=info >> 4 == _WEAK, value=value)


def _tsan_symbols(table: object) -> tuple[set[str], set[str]]:
    """Return the names of the sanitizer's interface that a file defines, and those that it imports."""
    defined: set[str] = set()
    imported: set[str] = set()
    # Most libraries have no such name among theirs.
    if isinstance(table, SymbolTableSection) and b"__tsan_" in table.stringtable.data():
        for symbol in _symbols(table, b"__tsan_"):
            if symbol.defined:
                defined.add(symbol.name)
            elif not symbol.weak:  # a weak one is a question: "is the sanitizer there?", as companions of libraries ask
                imported.add(symbol.name)
    return defined, imported


def _dynamic(section: DynamicSection) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    needed: list[str] = []
    search: list[str] = []
    soname = ""
    for tag in section.iter_tags():
        # pyelftools names the attribute after the tag, so that no type checker knows it.
        match tag.entry.d_tag:
            case "DT_NEEDED" as name:
                needed.append(_text(tag, name))
            case "DT_RUNPATH" | "DT_RPATH" as name:
                search += _text(tag, name).split(os.pathsep)
            case "DT_SONAME" as name:
                soname = _text(tag, name)
            case _:
                pass
    return tuple(needed), tuple(search), soname


def _text(tag: object, name: str) -> str:
    return str(getattr(tag, name.removeprefix("DT_").lower()))


def _runtime(needed: tuple[str, ...], compilers: tuple[str, ...], *, brings: bool) -> Runtime:
    if any(_SHARED_GCC.match(name) for name in needed):
        return Runtime.GCC
    if any(_SHARED_LLVM.match(name) for name in needed):
        return Runtime.LLVM
    if not brings:
        return Runtime.NONE
    # GCC links its runtime into a program only under -static-libtsan; C's start files are always GCC's.
    return Runtime.LLVM if any(name.startswith("clang") for name in compilers) else Runtime.GCC


def _build_id(elf: ELFFile) -> str:
    section = elf.get_section_by_name(".note.gnu.build-id")
    if isinstance(section, NoteSection):
        for note in section.iter_notes():
            return str(note["n_desc"])
    return ""


def _compilers(elf: ELFFile) -> Iterator[str]:
    section = elf.get_section_by_name(".comment")
    text = section.data().decode("utf-8", errors="replace") if section is not None else ""
    for name, pattern in (("clang", _CLANG_VERSION), ("gcc", _GCC_VERSION)):
        for major in dict.fromkeys(pattern.findall(text)):
            yield f"{name}-{major}"
