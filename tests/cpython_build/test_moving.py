"""How a file's bytes follow their interpreter, and how byte-code does."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from python_tsan.cpython.moving import (
    ELF_MAGIC,
    NEUTRAL,
    ImmovableError,
    neutralise,
    renamed,
    settle,
    without_build_paths,
)
from python_tsan.cpython.plan import PREFIX_ROOM
from python_tsan.cpython.prebuilt.inside import bytecode

PREFIXES = st.text("abcdef/", min_size=30, max_size=400).map(lambda text: Path(f"/interpreters/{text}/x"))


@given(before=PREFIXES, after=PREFIXES, text=st.binary(max_size=50))
def test_there_and_back_nothing_is_lost(before, after, text):
    assume(NEUTRAL not in text)  # which nothing of an interpreter's own is called
    for data in (b"#" + text + bytes(before) + b"/lib", b"\x7fELF" + bytes(before) + bytes(PREFIX_ROOM) + text):
        neutral = neutralise(data, before)
        assert bytes(before) not in neutral
        moved = settle(neutral, after)
        assert bytes(after) in moved
        assert neutralise(moved, after) == neutral
        assert settle(neutral, before) == data
        if data.startswith(b"\x7fELF"):
            assert len(moved) == len(data)
            assert moved.endswith(text)


def test_what_has_no_room_is_not_moved():
    data = b"\x7fELF" + NEUTRAL + bytes(40) + b"code"
    with pytest.raises(ImmovableError, match="without room"):
        settle(data, Path("/a/prefix/longer/than/the/neutral/one"))
    with pytest.raises(ImmovableError, match="there is room for"):
        settle(b"\x7fELF" + NEUTRAL + bytes(PREFIX_ROOM), Path("/" + "a" * 2000))
    with pytest.raises(ImmovableError, match="part of a longer path"):
        neutralise(b"\x7fELF/usr/lib/python\0", Path("/usr"))


def test_a_prefix_may_fill_the_room_up_to_the_zero_that_ends_it():
    longest = "/" + "a" * (len(NEUTRAL) + PREFIX_ROOM - 2)
    data = ELF_MAGIC + NEUTRAL + bytes(PREFIX_ROOM) + b"code"
    assert settle(data, Path(longest)) == ELF_MAGIC + longest.encode() + b"\0code"
    with pytest.raises(ImmovableError, match=f"is {len(longest) + 1} bytes long, and there is room for {PREFIX_ROOM}"):
        settle(data, Path(longest + "a"))
    with pytest.raises(ImmovableError, match="without room"):
        settle(ELF_MAGIC + NEUTRAL + bytes(PREFIX_ROOM - 1) + b"code", Path(longest))


def test_build_folders_are_named_as_debug_information_does():
    text = b"-I/c/work/a/3.13-x~1/build/Include /c/work/a/k/build/../../../src/x.c /c/workshop"
    assert without_build_paths(text, Path("/c/work")) == b"-I/cpython/build/Include /cpython /c/workshop"


def test_nothing_of_an_elf_file_changes_length():
    data = ELF_MAGIC + b"\0/c/work/a/key-of-the-plan/build\0next\0/c/work/a/k/build/../../../src/x.c\0end"
    changed = without_build_paths(data, Path("/c/work"))
    assert len(changed) == len(data)
    assert b"/c/work" not in changed
    assert [os.path.normpath(text) for text in changed.split(b"\0")[1:]] == [
        *(b"/cpython/build", b"next", b"/cpython", b"end"),
    ]


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "prefix" / "lib" / "pack"
    folder.mkdir(parents=True)
    for name in ("fresh", "stale"):
        (folder / f"{name}.py").write_text("def f():\n    return lambda: 1 / 0\n")
        py_compile.compile(folder / f"{name}.py")
    os.utime(folder / "stale.py", (5, 5))
    py_compile.compile(folder / "fresh.py", cfile=folder / "__pycache__" / "orphan.cpython-311.pyc")
    return folder


def test_bytecode_is_fresh_and_says_where_it_is_in_its_new_place(package, tmp_path):
    out = tmp_path / "out"
    script = Path(bytecode.__file__)
    command = [sys.executable, "-I", "-S", "-B", script, tmp_path / "prefix", "/neutral", "1000", out]
    subprocess.run(command, check=True)
    made = sorted(out.rglob("*.pyc"))
    assert [path.name.partition(".")[0] for path in made] == ["fresh"]
    assert str(tmp_path).encode() not in made[0].read_bytes()
    assert made[0].read_bytes().count(b"/neutral/lib/pack/fresh.py") == 1

    moved = tmp_path / "moved"
    (moved / "__pycache__").mkdir(parents=True)
    (moved / "fresh.py").write_bytes((package / "fresh.py").read_bytes())
    os.utime(moved / "fresh.py", (1000, 1000))
    target = Path(importlib.util.cache_from_source(moved / "fresh.py"))
    target.write_bytes(made[0].read_bytes())
    ended = subprocess.run(
        [sys.executable, "-v", "-B", "-c", "import fresh; fresh.f()()"],
        cwd=moved,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"code object from '{target}'" in ended.stderr
    assert f'File "{moved / "fresh.py"}", line 2, in <lambda>' in ended.stderr


def test_several_folders_are_renamed_at_once_and_back():
    names = {b"/private/build": b"@build@", b"/cache/final": b"@final@"}
    renamed_once = renamed(b"-I/private/build/x --prefix=/cache/final", names)
    assert renamed_once == b"-I@build@/x --prefix=@final@"
    back = {new: old for old, new in names.items()}
    assert renamed(renamed_once, back) == b"-I/private/build/x --prefix=/cache/final"
