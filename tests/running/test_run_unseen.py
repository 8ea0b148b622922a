"""What a program did that the runtime cannot see is stated in its verdict, and of other programs nothing is."""

import subprocess
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.result.model import SharedObject
from python_tsan.running.companion import ProcessMapping, read_hook_output
from python_tsan.running.elf import ElfFacts
from python_tsan.running.unseen import unseen
from python_tsan.toolchain.model import Family

PROGRAMS = Path(__file__).with_name("programs")
BOTH = {Family.GCC, Family.CLANG}
# The words of each program, and the families that show them; empty for a program that has nothing of the kind.
STATES = {
    "mapped_twice": ("/memfd:twice (deleted) was mapped at two addresses of one process", BOTH),
    "mapped_again": ("", BOTH),
    "forked": ("anonymous memory was shared by several processes", BOTH),
    # Clang's runtime is inside the program, so that its code has to be searched for calls.
    "fences": ("calls atomic_thread_fence", BOTH),
    "coroutine": ("has C++ coroutines", BOTH),
}
ALL = [words for words, _ in STATES.values() if words]


def mapping(pid=1, **parts):
    return ProcessMapping(
        **({"pid": pid, "device": 1, "inode": 7, "path": "/x", "twice": False, "forked": False} | parts)
    )


def test_one_mapping_is_not_mentioned():
    assert list(unseen([mapping()], [])) == []
    assert list(unseen([mapping(), mapping(inode=8, pid=2)], [])) == []


def test_a_file_of_two_processes_is_mentioned_once():
    assert list(unseen([mapping(1), mapping(2), mapping(3)], [])) == [
        "/x was shared by several processes: a race between two of them was not seen."
    ]


def test_anonymous_memory_of_two_processes_is_not_the_same_memory():
    anonymous = {"device": 0, "inode": 0, "path": ""}
    assert list(unseen([mapping(1, **anonymous), mapping(2, **anonymous)], [])) == []
    assert "anonymous memory was shared" in next(unseen([mapping(1, **anonymous, forked=True)], []))


def test_the_mappings_of_all_processes_are_read(tmp_path):
    line = '{"pid":%d,"device":1,"inode":2,"path":"/x","twice":true,"forked":false}\n'
    (tmp_path / "mappings.1.jsonl").write_text(line % 1)
    (tmp_path / "mappings.2.jsonl").write_text(line % 2 + '{"pid":2,"dev')
    assert [each.pid for each in read_hook_output(tmp_path).mappings] == [1, 2]


def test_code_that_is_not_instrumented_has_nothing_of_the_kind():
    assert list(unseen([], [SharedObject(path="/nowhere", instrumented=False)])) == []
    assert list(unseen([], [SharedObject(path="/nowhere", instrumented=True)])) == []


def test_the_fences_of_cpython_are_not_mentioned_in_every_run(monkeypatch):
    facts = ElfFacts(path=Path("/x"), instrumented=True, fences=True)
    monkeypatch.setattr("python_tsan.running.unseen.read_elf", lambda _path: facts)
    names = ("libpython3.13d.so.1.0", "libpython3.14t.so", "libmine.so", "libpython_helper.so")
    words = unseen([], [SharedObject(path=f"/lib/{name}", instrumented=True) for name in names])
    assert [each.partition(" calls")[0] for each in words] == ["libmine.so", "libpython_helper.so"]


@pytest.fixture
def run(of_family, survey_cache, tmp_path, monkeypatch, capsys):
    """Return a function that compiles a program with a family's compiler and returns what `run` prints of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(survey_cache))

    def runs(name, family):
        if family not in of_family:
            pytest.skip(f"no working {family.value}")
        flags = ["-std=c++20", "-O1", "-g", "-fsanitize=thread", "-pthread"]
        command = [of_family[family].candidate.cxx, *flags, PROGRAMS / f"{name}.cpp", "-o", name]
        subprocess.run(command, check=True, timeout=120)
        main(["run", "--toolchain", of_family[family].name, "--", f"./{name}"])
        return " ".join(capsys.readouterr().out.split())

    return runs


@pytest.mark.compiler
@pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
@pytest.mark.parametrize("name", STATES)
def test_the_verdict_states_it(name, family, run):
    shown = run(name, family)
    words, families = STATES[name]
    assert [each for each in ALL if each in shown] == ([words] if words and family in families else [])
