from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from python_tsan.toolchain.model import Candidate, Family, Probe, Rejection, Toolchain
from python_tsan.toolchain.probe_cache import ProbeCache, machine_identity, mmap_rnd_bits, seccomp_mode, stamp

COMPILER = Path("/usr/bin/clang-19")
CANDIDATE = Candidate(family=Family.CLANG, cc=COMPILER, cxx=None, version="19.1.7", target="x86_64-linux-gnu")
TOOLCHAIN = Toolchain(
    candidate=CANDIDATE,
    runtime=Path("/r"),
    runtime_id="ab",
    symbolizer=Path("/s"),
    linker="lld",
    launcher=("setarch", "-R"),
)


@pytest.fixture
def memory(tmp_path):
    return ProbeCache(tmp_path / "probes", machine="here")


@pytest.mark.parametrize(
    "value",
    [
        Probe(candidate=CANDIDATE, toolchain=TOOLCHAIN, detected=3, runs=3, seconds=1.5),
        Probe(candidate=CANDIDATE, rejection=Rejection.NO_RUNTIME, detail="d", evidence=Path("/log")),
    ],
)
def test_what_is_remembered_comes_back_equal(memory, value):
    memory.remember("probe", COMPILER, value, [])
    assert memory.recall("probe", COMPILER, Probe) == value


def test_nothing_is_known_at_first_and_kinds_and_compilers_are_apart(memory):
    assert memory.recall("probe", COMPILER, Candidate) is None
    memory.remember("identity", COMPILER, CANDIDATE, [])
    assert memory.recall("probe", COMPILER, Candidate) is None
    assert memory.recall("identity", Path("/opt/bin/clang-19"), Candidate) is None


@pytest.mark.parametrize("change", ["content", "time", "gone", "came"])
def test_a_changed_file_makes_it_forget(memory, tmp_path, change):
    library, absent = tmp_path / "library", tmp_path / "absent"
    library.write_text("one")
    memory.remember("identity", COMPILER, CANDIDATE, [library, absent])
    assert memory.recall("identity", COMPILER, Candidate) == CANDIDATE
    match change:
        case "content":
            library.write_text("longer")
        case "time":
            os.utime(library, ns=(1, 1))
        case "gone":
            library.unlink()
        case "came":
            absent.touch()
    assert memory.recall("identity", COMPILER, Candidate) is None


def test_another_machine_or_schema_makes_it_forget(memory, tmp_path, monkeypatch):
    memory.remember("identity", COMPILER, CANDIDATE, [])
    assert ProbeCache(tmp_path / "probes", machine="there").recall("identity", COMPILER, Candidate) is None
    monkeypatch.setattr("python_tsan.toolchain.probe_cache.SCHEMA", 99)
    assert memory.recall("identity", COMPILER, Candidate) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00", b"[]", b'{"schema": 1}', None])
def test_a_damaged_file_counts_as_no_memory(memory, tmp_path, damage):
    memory.remember("identity", COMPILER, CANDIDATE, [])
    (path,) = (tmp_path / "probes").iterdir()
    if damage is None:
        record = json.loads(path.read_text())
        record["value"]["family"] = "icc"
        damage = json.dumps(record).encode()
    path.write_bytes(damage)
    assert memory.recall("identity", COMPILER, Candidate) is None
    memory.remember("identity", COMPILER, CANDIDATE, [])
    assert memory.recall("identity", COMPILER, Candidate) == CANDIDATE


def test_nothing_half_written_is_left(memory, tmp_path):
    memory.remember("identity", COMPILER, CANDIDATE, [])
    assert [path.suffix for path in (tmp_path / "probes").iterdir()] == [".json"]


def test_a_value_that_has_no_form_in_json_is_refused(memory):
    with pytest.raises(NotImplementedError, match="object"):
        memory.remember("identity", COMPILER, object(), [])


def test_a_stamp_follows_links_and_is_missing_for_nothing(tmp_path):
    (tmp_path / "real").write_text("four")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert stamp(tmp_path / "link") == stamp(tmp_path / "real")
    assert stamp(tmp_path / "link")[0] == 4
    assert stamp(tmp_path / "gone") is None


def test_kernel_randomisation_and_filter_identify_the_machine(tmp_path):
    (tmp_path / "sys/vm").mkdir(parents=True)
    (tmp_path / "self").mkdir()
    (tmp_path / "sys/vm/mmap_rnd_bits").write_text("32\n")
    (tmp_path / "self/status").write_text("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n")
    assert mmap_rnd_bits(tmp_path) == 32
    assert seccomp_mode(tmp_path) == 2
    assert machine_identity(tmp_path).endswith("mmap_rnd_bits=32 seccomp=2")
    assert mmap_rnd_bits(tmp_path / "none") is None
    assert seccomp_mode(tmp_path / "none") is None
