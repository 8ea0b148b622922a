"""What is read of a file, and where what the user names is written."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from python_tsan.storage import expanded, real, sha256_of, write_named


def test_the_digest_is_that_of_the_content(tmp_path):
    path = tmp_path / "library"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_link_that_the_user_names_leads_to_the_file(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("made")
    write_named(tmp_path / "link", b"new")
    write_named(tmp_path / "dangling", [b"in ", b"parts"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "made").read_text() == "in parts"


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_is_written_to_and_stays_one(tmp_path, device):
    (tmp_path / "link").symlink_to(device)
    write_named(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_char_device()
    assert list(tmp_path.iterdir()) == [tmp_path / "link"]


def test_a_pipe_is_written_to_if_something_reads_it(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"):
        write_named(pipe, b"content")
    content = bytes(500_000)  # more than fits into a pipe
    with (tmp_path / "read").open("wb") as out, subprocess.Popen(["cat", pipe], stdout=out) as reader:
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # until the reader has opened it
                write_named(pipe, content)
                break
        assert reader.wait(20.0) == 0
    assert (tmp_path / "read").read_bytes() == content
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_written_to_where_it_is(tmp_path, name):
    code = f"from pathlib import Path; from python_tsan.storage import write_named; write_named(Path('{name}'), b'new')"
    file = tmp_path / "log"
    file.write_text("old ")
    with file.open("ab") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert file.read_text() == "old new"


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path.name)])
def test_what_cannot_be_written_is_an_error(tmp_path, make):
    make(tmp_path / "name")
    with pytest.raises(OSError, match=r"Is a directory|symbolic links"):
        write_named(tmp_path / "name", b"content")


def test_the_home_of_nobody_is_a_plain_name(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
    assert expanded("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")


def test_links_in_a_loop_lead_nowhere(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("file")
    assert real(tmp_path / "loop") == tmp_path / "loop"
    assert real(tmp_path / "link") == tmp_path / "file"
