from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 -- used by every helper's signature

import pytest

from python_tsan.toolchain.model import Candidate, Family
from python_tsan.toolchain.search import (
    Found,
    Places,
    find_compilers,
    find_cxx,
    find_symbolizer,
    identify,
    locate,
    places,
)


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def link(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def names(where: Places) -> list[str]:
    return sorted(found.cc.name for found in find_compilers(where))


def test_every_compiler_by_its_name_and_nothing_else(tmp_path):
    for name in (
        "clang",
        "clang-18",
        "clang19",
        "gcc",
        "gcc-12",
        "gcc-13.2",
        "clang-format",
        "gcc-ar",
        "clang++",
        "g++",
    ):
        program(tmp_path / name)
    assert names(Places(folders=(tmp_path,))) == ["clang", "clang-18", "clang19", "gcc", "gcc-12", "gcc-13.2"]


def test_a_file_that_cannot_be_run_is_no_compiler(tmp_path):
    (tmp_path / "clang").write_text("")
    (tmp_path / "gcc").mkdir()
    assert names(Places(folders=(tmp_path, tmp_path / "gone"))) == []


def test_one_program_with_many_names_is_found_once_by_its_clearest_name(tmp_path):
    real = program(tmp_path / "lib" / "x86_64-linux-gnu-gcc-12")
    program(tmp_path / "lib" / "x86_64-linux-gnu-g++-12")
    for name in ("cc", "gcc", "gcc-12"):
        link(tmp_path / "bin" / name, real)
    link(tmp_path / "bin" / "c99-gcc", real)
    (found,) = find_compilers(Places(folders=(tmp_path / "bin",)))
    assert found.cc == tmp_path / "bin" / "gcc-12"


def test_only_a_link_named_cc_is_enough(tmp_path):
    program(tmp_path / "cc")
    assert names(Places(folders=(tmp_path,))) == ["cc"]


def test_a_compiler_caches_link_does_not_hide_the_compiler(tmp_path):
    ccache = program(tmp_path / "ccache")
    link(tmp_path / "masquerade" / "gcc", ccache)
    link(tmp_path / "masquerade" / "clang", ccache)
    gcc = program(tmp_path / "bin" / "gcc")
    found = list(find_compilers(Places(folders=(tmp_path / "masquerade", tmp_path / "bin"))))
    assert [each.cc for each in found] == [gcc]


@pytest.mark.parametrize(
    ("cc", "cxx"),
    [
        ("clang-19", "clang++-19"),
        ("clang", "clang++"),
        ("gcc-12", "g++-12"),
        ("cc", "c++"),
        ("x86_64-conda-linux-gnu-cc", "x86_64-conda-linux-gnu-c++"),
        ("aarch64-linux-gnu-gcc-13", "aarch64-linux-gnu-g++-13"),
    ],
)
def test_the_partner_has_the_matching_name(tmp_path, cc, cxx):
    assert find_cxx(program(tmp_path / cc)) is None
    program(tmp_path / cxx)
    assert find_cxx(tmp_path / cc) == tmp_path / cxx


def test_the_partner_may_lie_next_to_what_the_link_leads_to(tmp_path):
    real = program(tmp_path / "llvm" / "clang")
    partner = program(tmp_path / "llvm" / "clang++")
    assert find_cxx(link(tmp_path / "bin" / "clang-19", real)) == partner


def test_places_are_path_and_the_releases_newest_first(tmp_path):
    for name in ("usr/lib/llvm-14/bin", "usr/lib/llvm-19/bin", "usr/lib64/llvm18/bin", "mine"):
        (tmp_path / name).mkdir(parents=True)
    where = places({"PATH": f"{tmp_path}/mine:{tmp_path}/gone:relative:{tmp_path}/mine"}, root=tmp_path)
    shown = [str(folder.relative_to(tmp_path)) for folder in where.folders]
    assert shown == ["mine", "usr/lib64/llvm18/bin", "usr/lib/llvm-19/bin", "usr/lib/llvm-14/bin"]


def test_a_folder_that_may_not_be_examined_is_no_place(tmp_path):
    """As that of another user; a name that is too long has the same effect for root."""
    (tmp_path / "bin").mkdir()
    found = places({"PATH": f"{tmp_path / ('x' * 300)}:{tmp_path / 'bin'}"}, root=tmp_path / ("y" * 300))
    assert found.folders == (tmp_path / "bin",)


def test_a_compiler_is_in_path_by_any_name_of_it_or_by_cc(tmp_path):
    outside = program(tmp_path / "usr/lib/llvm-19/bin/clang-19")
    (tmp_path / "bin").mkdir()

    def found(**env):
        where = places({"PATH": str(tmp_path / "bin"), **env}, root=tmp_path)
        return [(each.cc, each.in_path) for each in find_compilers(where)]

    assert found() == [(outside, False)]
    assert found(CC=str(outside)) == [(outside, True)]
    assert found(PATH=f"{tmp_path}/bin:{outside.parent}") == [(outside, True)]
    link(tmp_path / "bin" / "clang", outside)
    assert found() == [(outside, True)]


def test_cc_and_cxx_are_candidates_with_cache_and_flags_taken_off(tmp_path):
    cc, cxx = program(tmp_path / "own" / "my-cc"), program(tmp_path / "own" / "my-c++")
    where = places({"PATH": str(tmp_path / "own"), "CC": f"ccache {cc} -m64", "CXX": "my-c++"}, root=tmp_path)
    assert where.named == ((cc, cxx),)
    assert list(find_compilers(where)) == [Found(cc=cc, cxx=cxx)]


@pytest.mark.parametrize("value", ["", "ccache", "nothing-here", "'unbalanced"])
def test_a_cc_that_names_no_program_is_passed_over(tmp_path, value):
    assert places({"PATH": str(tmp_path), "CC": value}, root=tmp_path).named == ()


def test_a_compiler_can_be_named_by_path_or_by_program(tmp_path):
    cc, cxx = program(tmp_path / "weird-gcc-7"), program(tmp_path / "weird-g++-7")
    where = Places(folders=(tmp_path,))
    assert locate(str(cc), where) == locate("weird-gcc-7", where) == Found(cc=cc, cxx=cxx)
    assert locate("gcc-99", where) is None
    assert locate(str(tmp_path / "gone"), where) is None


@pytest.mark.parametrize(
    ("answer", "version", "target"),
    [
        ("Debian clang version 19.1.7 (3~deb12u1)\nTarget: x86_64-pc-linux-gnu", "19.1.7", "x86_64-pc-linux-gnu"),
        ("clang version 20.1.0-rc1 (git)\nTarget: aarch64-unknown-linux-gnu", "20.1.0", "aarch64-unknown-linux-gnu"),
        ("Ubuntu clang version 18.1.3 (1ubuntu1)\nTarget: x86_64-pc-linux-gnu", "18.1.3", "x86_64-pc-linux-gnu"),
    ],
)
def test_clang_shows_version_and_target_for_every_name(tmp_path, answer, version, target):
    cc = program(tmp_path / "gcc", f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    assert identify(Found(cc=cc, cxx=None)) == Candidate(
        family=Family.CLANG, cc=cc, cxx=None, version=version, target=target
    )


def test_gcc_is_asked_for_its_full_version(make_fake):
    fake = make_fake("gcc-12", number="12.2.0")
    found = Found(cc=fake.candidate.cc, cxx=fake.candidate.cxx)
    assert identify(found) == fake.candidate


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\necho something else\n",
        "#!/bin/sh\nexit 3\n",
        "#!/bin/sh\necho clang version 19.1.7\n",
        "#!/no/such/shell\n",
    ],
)
def test_what_does_not_answer_as_a_compiler_is_left_out(tmp_path, text):
    assert identify(Found(cc=program(tmp_path / "clang", text), cxx=None)) is None


def test_the_symbolizer_of_the_same_release_comes_first(tmp_path):
    own = program(tmp_path / "usr/lib/llvm-18/bin/clang")
    candidate = Candidate(family=Family.CLANG, cc=own, cxx=None, version="18.1.3", target="x86_64-linux-gnu")
    bare, newer = program(tmp_path / "bin/llvm-symbolizer"), program(tmp_path / "bin/llvm-symbolizer-20")
    folders = [tmp_path / "bin"]
    assert find_symbolizer(candidate, []) is None
    assert find_symbolizer(candidate, folders) == newer
    same = program(tmp_path / "bin/llvm-symbolizer-18")
    assert find_symbolizer(candidate, folders) == same
    beside = program(own.with_name("llvm-symbolizer"))
    assert find_symbolizer(candidate, folders) in {same, beside}
    newer.unlink()
    same.unlink()
    beside.unlink()
    assert find_symbolizer(candidate, folders) == bare


def test_gcc_needs_no_symbolizer(tmp_path):
    program(tmp_path / "llvm-symbolizer")
    candidate = Candidate(family=Family.GCC, cc=tmp_path / "gcc", cxx=None, version="12.2.0", target="x86_64-linux-gnu")
    assert find_symbolizer(candidate, [tmp_path]) is None


@pytest.mark.compiler
def test_the_compilers_of_this_machine_are_found_and_know_who_they_are():
    candidates = [identify(found) for found in find_compilers(places(os.environ))]
    known = [candidate for candidate in candidates if candidate]
    assert known
    assert len({candidate.cc.resolve() for candidate in known}) == len(known)
    assert all(candidate.major >= 4 and "-" in candidate.target for candidate in known)
