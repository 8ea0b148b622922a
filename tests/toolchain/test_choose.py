from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.errors import ExitCode
from python_tsan.toolchain.choose import first_working, fits, rank, reason, refusal
from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection, Toolchain
from python_tsan.toolchain.package_names import Manager


def compiler(name: str, version: str) -> Candidate:
    return Candidate(
        family=Family(name.partition("-")[0]),
        cc=Path("/usr/bin") / name,
        cxx=None,
        version=version,
        target="x86_64-linux-gnu",
    )


CLANG_9 = compiler("clang-9", "9.0.1")
CLANG_19 = compiler("clang-19", "19.1.7")
CLANG_19_OLDER = compiler("clang-19", "19.1.0")
GCC_12 = compiler("gcc-12", "12.2.0")
GCC_14 = compiler("gcc-14", "14.1.0")
EVERY = (GCC_12, CLANG_9, GCC_14, CLANG_19)


def works(candidate: Candidate) -> Probe:
    toolchain = Toolchain(candidate=candidate, runtime=Path("/r"), runtime_id="0", symbolizer=None, linker=None)
    return Probe(candidate=candidate, toolchain=toolchain, detected=3, runs=3)


def fails(candidate: Candidate, rejection: Rejection, detail: str = "", evidence: Path | None = None) -> Probe:
    return Probe(candidate=candidate, rejection=rejection, detail=detail, evidence=evidence)


def test_clang_goes_before_gcc_and_newer_before_older_by_number():
    assert rank(EVERY) == (CLANG_19, CLANG_9, GCC_14, GCC_12)
    assert rank([CLANG_19_OLDER, CLANG_19]) == (CLANG_19, CLANG_19_OLDER)


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ("clang", (CLANG_19, CLANG_9)),
        ("gcc", (GCC_14, GCC_12)),
        ("clang-19", (CLANG_19,)),
        ("clang-1", ()),
        ("clang-19.1", (CLANG_19,)),
        ("clang-19.1.7", (CLANG_19,)),
        ("clang-19.2", ()),
        ("gcc-12", (GCC_12,)),
        ("/usr/bin/gcc-12", (GCC_12,)),
        ("icc", ()),
        ("", ()),
    ],
)
def test_a_name_allows_what_it_means_and_no_more(wanted, allowed):
    assert rank(EVERY, wanted) == allowed


def test_a_path_may_be_a_link(tmp_path):
    (tmp_path / "real").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    candidate = Candidate(family=Family.GCC, cc=tmp_path / "real", cxx=None, version="1", target="x86_64-linux-gnu")
    assert fits(candidate, str(tmp_path / "link"))
    assert not fits(candidate, str(tmp_path / "other"))


def test_the_first_that_works_is_taken_and_no_later_one_is_tried():
    def probes():
        yield fails(CLANG_19, Rejection.NO_RUNTIME)
        yield works(CLANG_9)
        pytest.fail("went on after a success")

    assert first_working(probes()).candidate is CLANG_9
    assert first_working([fails(CLANG_9, Rejection.CRASHED)]) is None


def test_the_reason_names_what_was_passed_over():
    clang, gcc = works(CLANG_19), works(GCC_12)
    assert reason(clang, [clang, gcc], None) == "the newest clang in PATH that works"
    assert reason(gcc, [gcc], "gcc") == "gcc was requested"
    assert "no clang is in PATH" in reason(gcc, [gcc], None)
    assert "clang-19: no ThreadSanitizer runtime" in reason(gcc, [fails(CLANG_19, Rejection.NO_RUNTIME), gcc], None)


def test_a_compiler_outside_path_is_taken_only_if_none_in_path_works():
    outside = replace(CLANG_19, in_path=False)
    assert rank([outside, GCC_12]) == (GCC_12, outside)
    assert rank([outside, GCC_12], "clang") == (outside,)
    assert reason(works(GCC_12), [works(GCC_12), works(outside)], None).endswith("no clang is in PATH")
    chosen = works(outside)
    tried = [fails(GCC_12, Rejection.NO_RUNTIME), chosen]
    assert reason(chosen, tried, None) == "no compiler in PATH works; the newest clang outside PATH"


def test_a_machine_without_compilers_gets_the_way_to_install_one():
    error = refusal([], [], None, Manager.DNF)
    assert error.exit_code is ExitCode.TOOLCHAIN
    assert "no C++ compiler" in error.message
    assert error.advice.endswith("dnf install -y gcc gcc-c++")


def test_an_unknown_name_is_answered_with_what_there_is():
    error = refusal([], [CLANG_19, GCC_12], "clang-20", Manager.APT)
    assert "'clang-20'" in error.message
    assert "clang-19 (19.1.7, /usr/bin/clang-19), gcc-12 (12.2.0, /usr/bin/gcc-12)" in error.message
    assert error.advice.startswith("use clang-19 or gcc-12, or install it if your distribution has it: ")
    assert error.advice.endswith("apt-get install -y clang-20 libclang-rt-20-dev llvm-20")
    assert refusal([], [GCC_12], "gcc-15", Manager.APT).advice.endswith("gcc-15 g++-15")
    assert "no compiler at all" in refusal([], [], "icc", Manager.APT).message


def test_a_name_that_is_no_compiler_gets_the_list_to_choose_from():
    assert refusal([], [CLANG_19, GCC_12], "icc", Manager.APT).advice.startswith("choose one of: clang-19, gcc-12;")
    assert refusal([], [GCC_12], "clang-x", None).advice.startswith("choose one of: gcc-12;")


def test_each_rejected_compiler_is_listed_with_its_reason_and_the_first_fix():
    probes = [
        fails(CLANG_19, Rejection.CRASHED, "exit code -11", Path("/logs/clang-19.log")),
        fails(GCC_12, Rejection.NO_RUNTIME),
    ]
    error = refusal(probes, EVERY, None, Manager.APT)
    assert "clang-19 (19.1.7, /usr/bin/clang-19): the canary crashed (exit code -11)" in error.message
    assert "gcc-12 (12.2.0, /usr/bin/gcc-12): no ThreadSanitizer runtime" in error.message
    assert error.evidence == Path("/logs/clang-19.log")
    assert error.advice.endswith("libgcc-12-dev")


def test_a_requested_compiler_that_fails_is_named():
    error = refusal([fails(CLANG_19, Rejection.NO_RUNTIME)], EVERY, "clang", Manager.APT)
    assert error.message.startswith("the toolchain 'clang' does not work")
    assert error.advice.endswith("libclang-rt-19-dev")


def test_address_space_trouble_is_explained():
    advice = refusal([fails(CLANG_9, Rejection.ADDRESS_SPACE, "a filter")], EVERY, None, Manager.APT).advice
    assert "vm.mmap_rnd_bits=28" in advice
    assert "seccomp=unconfined" in advice
    missing = fails(CLANG_9, Rejection.ADDRESS_SPACE, "and setarch, which would help, is not installed")
    assert refusal([missing], EVERY, None, Manager.APT).advice.endswith("util-linux")


def test_without_a_fix_the_transcript_is_pointed_at():
    assert "transcript" in refusal([fails(CLANG_9, Rejection.FALSE_ALARM)], EVERY, None, Manager.APT).advice
