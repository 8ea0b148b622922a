from __future__ import annotations

import errno
import os
import platform
import shutil

import pytest
from msgspec.structs import replace

from python_tsan.toolchain import probe as module
from python_tsan.toolchain.model import Family, Rejection
from python_tsan.toolchain.probe import RACY_RUNS, probe
from python_tsan.toolchain.search import find_compilers, identify, places

RACE = (
    'echo "WARNING: ThreadSanitizer: data race" > $log; echo "    #0 canary_turn() racy.cpp:5 (r+0x1)" >> $log; exit 66'
)
MAPPING = 'echo "FATAL: ThreadSanitizer: unexpected memory mapping 0x1-0x2" > $log; exit 66'
# ADDR_NO_RANDOMIZE of personality(2).
ONLY_WITHOUT_ASLR = f'grep -q "^0*40000$" /proc/self/personality || {{ {MAPPING}; }}'


@pytest.fixture
def put(make_fake, layout):
    """Make a fake compiler and probe it."""

    def run(*arguments, **answers):
        fake = make_fake(*arguments, **answers)
        return probe(fake.candidate, (), layout)

    return run


def test_a_compiler_that_works_becomes_a_toolchain(put, layout):
    made = put()
    assert made.rejection is None
    assert (made.detected, made.runs) == (RACY_RUNS, RACY_RUNS)
    toolchain = made.toolchain
    assert toolchain.name == "clang-19"
    assert toolchain.runtime.name == "runtime"
    # printf '\177ELF runtime' | sha256sum
    assert toolchain.runtime_id == "70355af1e2a17a655cdc20dbf08d6d057680b337238856e0a113a4d238712856"
    assert toolchain.symbolizer.name == "llvm-symbolizer"
    assert toolchain.linker is None
    assert toolchain.launcher == ()
    assert list(layout.work.iterdir()) == []


def test_both_compilers_and_both_twins_are_used(make_fake, layout):
    fake = make_fake()
    probe(fake.candidate, (), layout)
    calls = "\n".join(fake.calls)
    for part in ("clang-19 -fsanitize=thread -O1 -g1 -c", "clang++-19 -fsanitize=thread", "racy.o", "safe.o"):
        assert part in calls


def test_gcc_serves_without_a_symbolizer(put):
    made = put("gcc-12", number="12.2.0")
    assert made.toolchain.symbolizer is None
    assert made.toolchain.candidate.family is Family.GCC


@pytest.mark.parametrize(
    ("answers", "rejection", "detail"),
    [
        ({"cxx": False}, Rejection.NO_CXX, ""),
        ({"target": "riscv64-linux-gnu"}, Rejection.FOREIGN, "riscv64"),
        ({"target": "arm-linux-gnueabihf"}, Rejection.FOREIGN, "arm"),
        ({"runtime": False}, Rejection.NO_RUNTIME, ""),
        ({"runtime": False, "of_zig": True}, Rejection.OWN_RUNTIMES, ""),
        ({"link_error": "ld: cannot find -ltsan"}, Rejection.NO_RUNTIME, ""),
        ({"link_error": "ld: cannot find /x/libclang_rt.tsan-x86_64.a"}, Rejection.NO_RUNTIME, ""),
        ({"link_error": "x.o: error: no room"}, Rejection.COMPILE_FAILED, "no room"),
        ({"compile_error": "fatal error: mutex: No such file"}, Rejection.COMPILE_FAILED, "mutex"),
        ({"compile_error": "clang: error: unsupported option '-fsanitize=thread'"}, Rejection.NO_RUNTIME, ""),
        ({"symbolizer": False}, Rejection.NO_SYMBOLIZER, "no llvm-symbolizer"),
        ({"racy": "exit 0"}, Rejection.MISSED_RACE, "0 of 3"),
        ({"safe": 'echo "WARNING: ThreadSanitizer: data race" > $log; exit 66'}, Rejection.FALSE_ALARM, ""),
        ({"safe": "kill -SEGV $$"}, Rejection.CRASHED, "exit code -11"),
        ({"safe": "echo cannot map >&2; exit 1"}, Rejection.CRASHED, "cannot map"),
        ({"racy": 'echo "WARNING: ThreadSanitizer: data race" > $log; exit 66'}, Rejection.NO_SYMBOLIZER, "no names"),
        ({"safe": MAPPING}, Rejection.ADDRESS_SPACE, "setarch -R"),
    ],
)
def test_each_way_to_fail_has_its_own_reason(put, answers, rejection, detail):
    made = put(**answers)
    assert made.toolchain is None
    assert made.rejection is rejection
    assert detail in made.detail
    assert rejection.value in made.verdict


@pytest.mark.parametrize("part", ["compile_error", "link_error"])
def test_a_full_disk_is_not_the_compilers_fault(put, part):
    with pytest.raises(OSError, match="No space left on device") as caught:
        put(**{part: "g++: fatal error: error writing to /tmp/x.s: No space left on device"})
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename


def test_a_finding_on_the_terminal_alone_does_not_count(put):
    made = put(racy='echo "WARNING: ThreadSanitizer: data race" >&2; exit 66')
    assert made.rejection is Rejection.MISSED_RACE


def test_one_miss_is_forgiven_and_reported(put, tmp_path):
    once = tmp_path / "once"
    made = put(racy=f"[ -e {once} ] || {{ touch {once}; exit 0; }}\n{RACE}")
    assert made.toolchain is not None
    assert (made.detected, made.runs) == (2, 3)
    assert "2 of 3" in made.verdict


def test_a_symbolizer_that_hangs_is_distinguished_from_a_crash(put, monkeypatch):
    monkeypatch.setattr(module, "RUN_SECONDS", 0.3)
    made = put(racy="sleep 30")
    assert made.rejection is Rejection.SYMBOLIZER_HUNG
    assert "llvm-symbolizer" in made.detail


def test_a_safe_twin_that_hangs_is_a_crash(put, monkeypatch):
    monkeypatch.setattr(module, "RUN_SECONDS", 0.3)
    made = put(safe="sleep 30")
    assert made.rejection is Rejection.CRASHED
    assert "did not end" in made.detail


def test_musl_is_named_as_the_cause(put):
    made = put(safe="kill -SEGV $$", target=f"{platform.machine()}-alpine-linux-musl")
    assert "musl" in made.detail


def test_a_limited_address_space_is_named_as_the_cause(put, monkeypatch):
    monkeypatch.setattr(module, "address_space_limit", lambda: 1 << 33)
    assert "ulimit -v unlimited" in put(safe="exit 66").detail


@pytest.mark.skipif(shutil.which("setarch") is None, reason="util-linux is not installed")
def test_a_runtime_that_needs_a_plain_address_space_gets_setarch(put):
    made = put(safe=ONLY_WITHOUT_ASLR, racy=f"{ONLY_WITHOUT_ASLR}\n{RACE}")
    assert made.toolchain.launcher == (shutil.which("setarch"), platform.machine(), "-R")
    assert made.detected == RACY_RUNS


def test_a_filter_that_forbids_setarch_is_named(put, monkeypatch, tmp_path):
    refusing = tmp_path / "setarch"
    refusing.write_text("#!/bin/sh\necho 'setarch: failed to set personality: Operation not permitted' >&2; exit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda _: str(refusing))
    made = put(safe=ONLY_WITHOUT_ASLR)
    assert made.rejection is Rejection.ADDRESS_SPACE
    assert "filter forbids" in made.detail


def test_a_machine_without_setarch_is_reported_so(put, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    made = put(safe=MAPPING)
    assert made.rejection is Rejection.ADDRESS_SPACE
    assert "not installed" in made.detail


def test_the_transcript_of_a_rejection_is_kept(put, layout):
    made = put(safe="echo the reason >&2; exit 9")
    text = made.evidence.read_text()
    assert made.evidence == layout.logs / "toolchain" / "clang-19.log"
    assert "the reason" in text
    assert "[exit code 9" in text
    assert list(layout.work.iterdir()) == []


def test_the_users_own_sanitizer_options_do_not_reach_the_canary(put, monkeypatch):
    monkeypatch.setenv("TSAN_OPTIONS", "report_bugs=0")
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:9")
    guard = '[ -z "$DEBUGINFOD_URLS" ] || exit 3; case $TSAN_OPTIONS in *report_bugs*) exit 4 ;; esac'
    assert put(safe=guard).toolchain is not None


def test_a_compiler_that_vanished_is_a_rejection(make_fake, layout):
    fake = make_fake()
    fake.candidate.cc.unlink()
    assert probe(fake.candidate, (), layout).rejection is Rejection.CRASHED


def real(family: Family):
    where = places(os.environ)
    candidates = [identify(found) for found in find_compilers(where)]
    chosen = max((each for each in candidates if each and each.family is family), key=lambda c: c.release, default=None)
    if chosen is None:
        pytest.skip(f"no {family.value} on this machine")
    return chosen, where.folders


@pytest.mark.compiler
@pytest.mark.parametrize("family", list(Family))
def test_a_real_compiler_finds_the_race_every_time(family, layout):
    candidate, folders = real(family)
    made = probe(candidate, folders, layout)
    assert made.rejection is None, made.verdict
    assert (made.detected, made.runs) == (RACY_RUNS, RACY_RUNS)
    assert made.toolchain.runtime.stat().st_size > 100_000


@pytest.mark.compiler
@pytest.mark.parametrize("family", list(Family))
def test_a_cache_with_blanks_and_colons_in_its_path_works(family, layout, tmp_path):
    candidate, folders = real(family)
    made = probe(candidate, folders, replace(layout, root=tmp_path / "a b:c"))
    assert made.rejection is None, made.verdict
