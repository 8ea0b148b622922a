"""Name what a machine can lack, and the packages that provide it in each package manager."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

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


def packages(missing: Sequence[Missing], manager: Manager) -> tuple[str, ...]:
    """Return the packages that bring what is missing, each named once."""
    names: list[str] = []
    for item in missing:
        template = _PACKAGES[manager].get(item.need, item.need.value)
        release = f"{_SEPARATOR.get(manager, '')}{item.major}" if item.major else ""
        names += template.format(n=release).split()
    return tuple(dict.fromkeys(names))
