"""A page shows lines of the user's own files, and of no other that a log may name."""

import os

import pytest

from python_tsan.render import source
from python_tsan.render.source import source_reader


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.cpp").write_text("".join(f"line {number}\n" for number in range(1, 9)))
    (tmp_path / "secret.txt").write_text("secret\n")
    return tmp_path / "mine"


def test_lines_around_a_line(folder, monkeypatch):
    lines = source_reader([folder])
    file = str(folder / "a.cpp")
    assert lines(file, 4) == tuple((number, f"line {number}") for number in range(2, 7))
    assert lines(file, 1) == ((1, "line 1"), (2, "line 2"), (3, "line 3"))
    assert lines(file, 0) == lines(file, 99) == lines("", 1) == ()
    assert lines(str(folder / "gone.cpp"), 2) == ()
    monkeypatch.chdir(folder)
    assert lines("a.cpp", 1)[0] == (1, "line 1")


def test_a_single_file_may_be_named(folder):
    assert source_reader([folder / "a.cpp"])(str(folder / "a.cpp"), 1)


def test_no_file_elsewhere_is_read(folder):
    lines = source_reader([folder])
    assert lines(str(folder.parent / "secret.txt"), 1) == ()
    assert lines(str(folder / ".." / "secret.txt"), 1) == ()
    (folder / "link.cpp").symlink_to(folder.parent / "secret.txt")
    assert lines(str(folder / "link.cpp"), 1) == ()
    assert lines("/etc/passwd", 1) == ()


def test_only_regular_files_of_bounded_size_are_read(folder, monkeypatch):
    os.mkfifo(folder / "pipe.cpp")
    (folder / "circle.cpp").symlink_to(folder / "circle.cpp")
    monkeypatch.setattr(source, "MOST_BYTES", 10)
    lines = source_reader([folder])
    for name in ("pipe.cpp", "circle.cpp", "a.cpp", "a\0.cpp", "."):
        assert lines(str(folder / name), 1) == ()
