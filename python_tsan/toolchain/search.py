"""Search this machine for compilers and their symbolizers."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.process import run
from python_tsan.storage import entries, expanded, is_folder, real
from python_tsan.toolchain.model import Candidate, Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Where distributions keep whole LLVM or GCC releases outside PATH: Debian, Alpine, Fedora, Gentoo, RHEL, Homebrew.
RELEASE_FOLDERS = (
    "usr/lib/llvm-*/bin",
    "usr/lib/llvm[0-9]*/bin",
    "usr/lib64/llvm[0-9]*/bin",
    "usr/lib/llvm/*/bin",
    "opt/rh/*/root/usr/bin",
    "opt/homebrew/opt/llvm*/bin",
    "home/linuxbrew/.linuxbrew/opt/llvm*/bin",
)
# Wrapper programs of compilers: a link to one of these in PATH hides the compiler, which comes later in PATH.
WRAPPERS = {"ccache", "sccache", "distcc", "icecc", "colorgcc", "buildcache", "goma", "gomacc", "reclient", "rewrapper"}
IDENTIFY_SECONDS = 20.0

_COMPILER = re.compile(r"(?P<family>clang|gcc)(?:-?(?P<version>\d+(?:\.\d+)*))?|cc")
# As printed: "Debian clang version 19.1.7 (3~deb12u1)", "clang version 18.1.8", "Apple clang version 16.0.0"
_CLANG_VERSION = re.compile(r"\bclang version (?P<version>\d+(?:\.\d+)*)")
# As printed: Target: x86_64-pc-linux-gnu
_CLANG_TARGET = re.compile(r"^Target: (?P<target>\S+)", re.MULTILINE)
# "llvm-symbolizer", "llvm-symbolizer-19", "llvm-symbolizer19"
_SYMBOLIZER = re.compile(r"llvm-symbolizer(?:-?(?P<major>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to look. ``named`` are compilers that the environment names, each with its C++ partner if it names one.

    ``releases`` are those of ``folders`` that are not in ``PATH``.
    """

    folders: tuple[Path, ...]
    releases: frozenset[Path] = frozenset()
    named: tuple[tuple[Path, Path | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A program that is a compiler by its name; nothing has been started yet."""

    cc: Path
    cxx: Path | None = None
    in_path: bool = True


def places(env: Mapping[str, str], root: Path = Path("/")) -> Places:
    """Return the folders of ``PATH`` and of the LLVM and GCC releases below ``root``, and the compilers in CC/CXX."""
    in_path = [Path(entry) for entry in env.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(entry)]  # noqa: PTH117 -- no Path is needed to drop an entry
    releases = sorted((path for pattern in RELEASE_FOLDERS for path in entries(root, pattern)), reverse=True)
    folders = tuple(dict.fromkeys(path for path in (*in_path, *releases) if is_folder(path)))
    cc = _from_variable(env.get("CC", ""), folders)
    named = ((cc, _from_variable(env.get("CXX", ""), folders)),) if cc else ()
    return Places(folders=folders, releases=frozenset(folders).difference(in_path), named=named)


def find_compilers(where: Places) -> Iterator[Found]:
    """Yield every compiler once, however many names and links lead to it; starts no program.

    Of several names of one program the versioned one is kept: ``gcc-12`` stays what it is when ``gcc`` moves on.
    """
    seen: dict[Path, Path] = {}
    partners: dict[Path, Path | None] = {}
    in_path: set[Path] = set()
    for cc, cxx in where.named:
        _keep_best_name(seen, cc)
        partners[real(cc)] = cxx
    for folder in where.folders:
        for path in _programs(folder, _COMPILER):
            _keep_best_name(seen, path)
            if folder not in where.releases:
                in_path.add(real(path))
    for file, path in seen.items():
        yield Found(cc=path, cxx=partners.get(file) or find_cxx(path), in_path=file in in_path or file in partners)


def locate(name: str, where: Places) -> Found | None:
    """Return the compiler with that path or program name, or None; starts no program."""
    path = expanded(name).absolute() if "/" in name else find_program(name, where.folders)
    if path is None or not _executable(path):
        return None
    return Found(cc=path, cxx=find_cxx(path))


def find_program(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the first executable of that name in ``folders``, or None."""
    return next((folder / name for folder in folders if _executable(folder / name)), None)


def find_cxx(cc: Path) -> Path | None:
    """Return the C++ compiler that belongs to ``cc``, in its folder or in that of what it links to, or None."""
    for path in (cc, cc.resolve()):
        for pattern, replacement in ((r"clang(?!\+)", "clang++"), (r"gcc", "g++"), (r"(?<![a-z])cc\b", "c++")):
            name, count = re.subn(pattern, replacement, path.name, count=1)
            if count and _executable(path.with_name(name)):
                return path.with_name(name)
    return None


def identify(found: Found) -> Candidate | None:
    """Ask a compiler who it is, by its own account rather than its name; None if it does not answer as one."""
    answer = ask(found.cc, "--version")
    if clang := _CLANG_VERSION.search(answer):
        family, version = Family.CLANG, clang["version"]
        target = match["target"] if (match := _CLANG_TARGET.search(answer)) else ""
    elif "Free Software Foundation" in answer:
        family, version, target = Family.GCC, ask(found.cc, "-dumpfullversion"), ask(found.cc, "-dumpmachine")
    else:
        return None
    if not target or not re.fullmatch(r"\d+(\.\d+)*", version):
        return None
    return Candidate(family=family, cc=found.cc, cxx=found.cxx, version=version, target=target)


def find_symbolizer(candidate: Candidate, folders: Iterable[Path]) -> Path | None:
    """Return the ``llvm-symbolizer`` for a clang: of its own release if there is one, else the newest; None for gcc.

    GCC's runtime reads debug information itself, by libbacktrace.
    """
    if candidate.family is Family.GCC:
        return None
    ranked: list[tuple[bool, int, Path]] = []
    home = candidate.cc.resolve().parent
    for folder in dict.fromkeys((home, *folders)):
        for path in _programs(folder, _SYMBOLIZER):
            major = _symbolizer_major(path)
            ranked.append((folder == home or major == candidate.major, major, path))
    return max(ranked, key=lambda entry: entry[:2])[2] if ranked else None


def _symbolizer_major(path: Path) -> int:
    """Return the release of a symbolizer by its name or its real folder (``/usr/lib/llvm-19/bin``), 0 if unknown."""
    match = _SYMBOLIZER.fullmatch(path.name)
    if match and match["major"]:
        return int(match["major"])
    release = re.search(r"/llvm[-/]?(\d+)/", str(path.resolve()))
    return int(release[1]) if release else 0


def _programs(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    try:
        names = sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))  # noqa: PTH208 -- 10 times faster on /usr/bin, and this is on the way of every no-op run
    except OSError:
        return
    yield from (folder / name for name in names if _executable(folder / name))


def _keep_best_name(seen: dict[Path, Path], path: Path) -> None:
    target = real(path)
    if target.name in WRAPPERS or not _executable(path):
        return
    known = seen.get(target)
    if known is None or _precision(path) > _precision(known):
        seen[target] = path


def _precision(path: Path) -> int:
    """Rank the names of one program: ``gcc-12`` is more precise than ``gcc``, and that than ``cc``."""
    match = _COMPILER.fullmatch(path.name)
    if match is None or match["family"] is None:
        return 0
    return 2 if match["version"] else 1


def _from_variable(value: str, folders: Iterable[Path]) -> Path | None:
    """Read CC or CXX as make does: words, of which a compiler cache may be the first and flags may follow."""
    try:
        words = [word for word in shlex.split(value) if Path(word).name not in WRAPPERS]
    except ValueError:
        return None
    if not words:
        return None
    path = Path(words[0])
    path = path if path.is_absolute() else find_program(words[0], folders) or path
    return path if _executable(path) else None


def _executable(path: Path) -> bool:
    return os.access(path, os.X_OK) and path.is_file()


def ask(program: Path, question: str) -> str:
    """Return what a compiler answers to an option, empty if it fails or cannot be started."""
    try:
        done = run([program, question], env={**os.environ, "LC_ALL": "C"}, timeout=IDENTIFY_SECONDS)
    except OSError:
        return ""
    return done.stdout.strip() if done.ok else ""
