"""An interpreter in the cache is as it was built, or is not used."""

import os

import pytest

from python_tsan.cpython.integrity import content_of


@pytest.fixture
def prefix(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_bytes(b"program")
    (tmp_path / "python3").symlink_to("bin/python")
    return tmp_path


def test_what_changes_the_content(prefix):
    contents = {content_of(prefix)}
    for change in (
        lambda: (prefix / "bin" / "python").write_bytes(b"changed"),
        lambda: (prefix / "bin" / "python").chmod(0o755),
        lambda: (prefix / "extra").write_bytes(b""),
        lambda: ((prefix / "python3").unlink(), (prefix / "python3").symlink_to("bin")),
        lambda: (prefix / "extra").rename(prefix / "other"),
    ):
        change()
        contents.add(content_of(prefix))
    assert len(contents) == 6


def test_packages_and_byte_code_are_no_part_of_it(prefix):
    before = content_of(prefix)
    for name in ("__pycache__", "site-packages"):
        (prefix / name).mkdir()
        (prefix / name / "file").write_bytes(b"")
    assert content_of(prefix) == before


@pytest.mark.timeout(20)
def test_a_pipe_is_not_read(prefix):
    before = content_of(prefix)
    (prefix / "bin" / "python").unlink()
    os.mkfifo(prefix / "bin" / "python")
    assert content_of(prefix) != before
