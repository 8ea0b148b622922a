"""Unpacking: the tree that comes out, and the members that must not."""

import errno
import hashlib
import io
import stat
import tarfile

import pytest
from lookalikes import make_archive

from python_tsan.cpython.sources import unpack
from python_tsan.cpython.sources.store import is_tree
from python_tsan.cpython.sources.unpack import unpack_archive
from python_tsan.errors import FetchError

TOP = "Python-3.13.5"


def written(tmp_path, content, name="Python-3.13.5.tar.xz"):
    path = tmp_path / name
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def member(name, kind=tarfile.REGTYPE, linkname="", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, linkname, mode
    return info, b""


@pytest.mark.parametrize("suffix", ["xz", "gz", "bz2", ""])
def test_every_usual_compression(tmp_path, layout, suffix):
    path, digest = written(tmp_path, make_archive("3.13.5", suffix=suffix))
    tree = unpack_archive(path, digest, layout)
    assert tree == layout.sources / digest
    assert is_tree(tree)
    assert (tree / "Lib" / "os.py").read_bytes() == b"import sys\n" * 1000


@pytest.mark.parametrize("filters", [True, False], ids=["with filters", "without filters"])
def test_links_inside_are_kept_and_modes_are_sane(tmp_path, layout, monkeypatch, filters):
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    extra = [
        member(f"{TOP}/Tools/link", tarfile.SYMTYPE, "../Lib/os.py"),
        member(f"{TOP}/hard", tarfile.LNKTYPE, f"{TOP}/configure", mode=0o755),
        member(f"{TOP}/setuid", mode=0o6777),
    ]
    path, digest = written(tmp_path, make_archive("3.13.5", extra=extra))
    tree = unpack_archive(path, digest, layout)
    assert (tree / "Tools" / "link").read_bytes() == (tree / "Lib" / "os.py").read_bytes()
    assert (tree / "hard").read_bytes() == (tree / "configure").read_bytes()
    assert stat.S_IMODE((tree / "setuid").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "configure").stat().st_mode) == 0o755


ESCAPES = {
    "absolute": [member("/tmp/evil")],
    "dots": [member(f"{TOP}/../../evil")],
    "absolute symlink": [member(f"{TOP}/s", tarfile.SYMTYPE, "/etc/passwd")],
    "symlink up": [member(f"{TOP}/s", tarfile.SYMTYPE, "../../evil")],
    "symlink back": [member(f"{TOP}/s", tarfile.SYMTYPE, "Lib/../../evil")],
    "through a symlink": [member(f"{TOP}/s", tarfile.SYMTYPE, "Lib"), member(f"{TOP}/s/evil")],
    "over a symlink": [member(f"{TOP}/s", tarfile.SYMTYPE, "Lib/os.py"), member(f"{TOP}/s")],
    "hard link out": [member(f"{TOP}/h", tarfile.LNKTYPE, "../evil")],
    "absolute hard link": [member(f"{TOP}/h", tarfile.LNKTYPE, "/etc/passwd")],
    "hard link to a symlink": [
        member(f"{TOP}/s", tarfile.SYMTYPE, "Lib"),
        member(f"{TOP}/h", tarfile.LNKTYPE, f"{TOP}/s/os.py"),
    ],
    "device": [member(f"{TOP}/d", tarfile.CHRTYPE)],
    "block device": [member(f"{TOP}/d", tarfile.BLKTYPE)],
    "pipe": [member(f"{TOP}/p", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("filters", [True, False], ids=["with filters", "without filters"])
@pytest.mark.parametrize("extra", ESCAPES.values(), ids=ESCAPES)
def test_a_member_that_would_leave_is_refused(tmp_path, layout, monkeypatch, extra, filters):
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    path, digest = written(tmp_path, make_archive("3.13.5", extra=extra))
    with pytest.raises(FetchError, match="is refused: member") as caught:
        unpack_archive(path, digest, layout)
    assert repr(extra[-1][0].name) in caught.value.message
    assert caught.value.evidence == path
    assert not layout.sources.exists()
    assert list(layout.work.iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="Python 3.11.4 has filters")
def test_the_archive_s_filter_has_a_say_too(tmp_path, layout, monkeypatch):
    monkeypatch.setattr(unpack, "refuse_escape", lambda *_: None)
    path, digest = written(tmp_path, make_archive("3.13.5", extra=ESCAPES["symlink up"]))
    with pytest.raises(FetchError, match="is refused"):
        unpack_archive(path, digest, layout)


@pytest.mark.parametrize("suffix", ["xz", "gz", "bz2"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "noise"])
def test_a_damaged_archive_is_one_clear_error(tmp_path, layout, suffix, damage):
    good = make_archive("3.13.5", suffix=suffix)
    half = len(good) // 2
    bad = {
        "cut": good[:half],
        "flipped": good[:half] + bytes([good[half] ^ 0xFF]) + good[half + 1 :],
        "noise": b"no archive at all" * 40,
    }[damage]
    path, digest = written(tmp_path, bad)
    with pytest.raises(FetchError, match=r"Python-3\.13\.5\.tar\.xz") as caught:
        unpack_archive(path, digest, layout)
    assert caught.value.evidence == path
    assert not layout.sources.exists()
    assert list(layout.work.iterdir()) == []


def test_an_archive_of_something_else_is_refused(tmp_path, layout):
    outer = tmp_path / "other.tar"
    with tarfile.open(outer, "w") as tar:
        tar.addfile(*member("readme"))
    with pytest.raises(FetchError, match="holds no CPython source"):
        unpack_archive(outer, "0" * 64, layout)
    assert not layout.sources.exists()


def test_a_full_disk_leaves_nothing(tmp_path, layout, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    path, digest = written(tmp_path, make_archive("3.13.5"))
    monkeypatch.setattr(tarfile.TarFile, "makefile", full)
    with pytest.raises(FetchError, match="the disk is full"):
        unpack_archive(path, digest, layout)
    assert not layout.sources.exists()
    assert list(layout.work.iterdir()) == []


def test_an_interrupted_unpacking_leaves_nothing(tmp_path, layout, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    path, digest = written(tmp_path, make_archive("3.13.5"))
    monkeypatch.setattr(unpack, "_top", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack_archive(path, digest, layout)
    assert not layout.sources.exists()
    assert list(layout.work.iterdir()) == []


def test_a_damaged_tree_is_replaced(tmp_path, layout):
    path, digest = written(tmp_path, make_archive("3.13.5"))
    (unpack_archive(path, digest, layout) / "configure").unlink()
    assert is_tree(unpack_archive(path, digest, layout))
    assert list(layout.work.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["top/d", "top/./d"], "comes twice"),
        (["top/d", "top/d/e"], "below a file"),
        (["top/" + "n" * 300], "too long"),
    ],
)
def test_odd_members_are_refused(tmp_path, layout, names, reason):
    archive = tmp_path / "odd.tar"
    with tarfile.open(archive, "w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(FetchError, match=reason):
        unpack_archive(archive, "ab" * 32, layout)
    assert list(layout.work.iterdir()) == []


def test_what_an_archive_unpacks_to_is_bounded(tmp_path, layout, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_BYTES", 1000)
    archive = tmp_path / "bomb.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        member = tarfile.TarInfo("top/zeros")
        member.size = 1_000_000
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(FetchError, match="its members take more than"):
        unpack_archive(archive, "ab" * 32, layout)
    assert list(layout.work.iterdir()) == []
