"""Archives of interpreters: the same bytes twice, restored elsewhere, and refused for every reason there is."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import http.server
import io
import json
import os
import platform
import signal
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import fake_build
import pytest
from fake_build import RECORD, make_toolchain, settings_for

from python_tsan.artifact import work_folder
from python_tsan.cpython.build.interpreter import find_built, libc_identity
from python_tsan.cpython.manifest import write_manifest
from python_tsan.cpython.moving import NEUTRAL
from python_tsan.cpython.plan import PREFIX_ROOM
from python_tsan.cpython.planning import make_plan
from python_tsan.cpython.prebuilt import archive as archive_file
from python_tsan.cpython.prebuilt import export as export_module
from python_tsan.cpython.prebuilt import restore
from python_tsan.cpython.prebuilt.archive import CONTENTS_NAME, SCHEMA
from python_tsan.cpython.prebuilt.export import export_interpreter
from python_tsan.cpython.prebuilt.restore import restore_interpreter
from python_tsan.errors import BuildError, FetchError, SubjectError, UsageError
from python_tsan.paths import Layout

PINNED = replace(
    RECORD,
    sha256="93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640",
    origin="/home/someone/Python-3.13.5.tar.xz",
)


def here():
    """Return a toolchain for the processor that this test runs on."""
    candidate = make_toolchain().candidate
    return make_toolchain(candidate=replace(candidate, target=f"{platform.machine()}-pc-linux-gnu"))


def plan_for(root, toolchain):
    return make_plan(settings_for(root), PINNED, toolchain, libc=libc_identity())


def elf(prefix: bytes) -> bytes:
    return b"\x7fELF code" + prefix + bytes(PREFIX_ROOM) + b"more code"


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Replace compilers and the start of the interpreter, whose files are made up here."""
    monkeypatch.setattr(restore, "choose_toolchain", lambda *_arguments, **_named: here())
    monkeypatch.setattr(restore, "describe_built", fake_build.describe)


@pytest.fixture
def built(tmp_path):
    """Return an interpreter as a build leaves it, and its layout."""
    layout = Layout(root=tmp_path / "there" / "cache")
    plan = plan_for(tmp_path, here())
    prefix = layout.interpreters / plan.key
    for folder in ("bin", "lib/python3.13/json/__pycache__", "lib/python3.13/site-packages/numpy"):
        (prefix / folder).mkdir(parents=True)
    program = prefix / "bin" / "python3.13"
    program.write_bytes(b"#!/bin/sh\n")
    program.chmod(0o775)
    (prefix / "bin" / "python3").symlink_to("python3.13")
    (prefix / "lib" / "libpython3.13d.so.1.0").write_bytes(elf(str(prefix).encode()))
    work = layout.root / "work" / "artifacts" / plan.key / "build"
    (prefix / "lib" / "python3.13" / "_sysconfigdata.py").write_text(
        f"prefix = '{prefix}'\nsrcdir = '{work}/../../../../sources/abc'\nabs_builddir = '{work}'\n"
    )
    (prefix / "lib" / "python3.13" / "json" / "__pycache__" / "decoder.cpython-313.pyc").write_bytes(b"code")
    (prefix / "lib" / "python3.13" / "site-packages" / "numpy" / "__init__.py").write_text("")
    interpreter = replace(
        fake_build.describe(plan, PINNED, here(), staged=prefix, final=prefix), built_at="2026-01-01", seconds=3.0
    )
    write_manifest(interpreter, prefix)
    return interpreter


def write(interpreter, target, root, console):
    """Export ``interpreter``, which was built in its own cache."""
    layout = Layout(root=interpreter.prefix.parent.parent)
    plan = plan_for(root, here())
    return export_interpreter(interpreter, plan, target, numpy="", toolchain=here(), layout=layout, console=console)


@pytest.fixture
def export(built, tmp_path, console):
    def call(name="a.tar.zst"):
        layout = Layout(root=built.prefix.parent.parent)
        target = tmp_path / "archives" / name
        digest = export_interpreter(
            built, plan_for(tmp_path, here()), target, numpy="", toolchain=here(), layout=layout, console=console
        )
        assert digest == hashlib.sha256(target.read_bytes()).hexdigest()
        return target

    return call


@pytest.fixture
def take(tmp_path, console):
    def call(origin, root="elsewhere/with/a/longer/path/than/there", **changes):
        sha256 = changes.pop("sha256", "")
        settings = settings_for(tmp_path, cache=str(tmp_path / root), **changes)
        return restore_interpreter(
            str(origin), settings, layout=Layout(root=settings.cache), console=console, sha256=sha256
        )

    return call


def test_the_same_interpreter_gives_the_same_bytes(export, built):
    first = export("a.tar.zst").read_bytes()
    os.utime(built.executable, (1, 1))
    assert export("b.tar.zst").read_bytes() == first


def test_a_device_is_not_replaced_by_an_archive(export, tmp_path):
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "null").symlink_to("/dev/null")
    with pytest.raises(UsageError, match="not a regular file"):
        export("null")
    assert (tmp_path / "archives" / "null").is_char_device()


def test_an_archive_names_nothing_of_its_machine(export, tmp_path):
    data = archive_file.zstd.decompress(export().read_bytes())
    assert str(tmp_path).encode() not in data
    assert b"/home/someone" not in data
    assert NEUTRAL in data
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
    assert members[0].name == CONTENTS_NAME
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {(0, 0, "", 315532800)}
    assert sorted(member.name for member in members[1:]) == [member.name for member in members[1:]]
    assert not any("site-packages" in member.name or "__pycache__" in member.name for member in members)


def test_restored_elsewhere_it_knows_its_new_place(export, take, built, console):
    archive = export()
    built.prefix.parent.rename(built.prefix.parent.with_name("renamed-away"))
    restored = take(archive)
    prefix = restored.prefix
    assert prefix != built.prefix
    assert len(str(prefix)) > len(str(built.prefix))
    assert (prefix / "lib" / "libpython3.13d.so.1.0").read_bytes().startswith(b"\x7fELF code" + bytes(prefix) + b"\0")
    assert len((prefix / "lib" / "libpython3.13d.so.1.0").read_bytes()) == len(elf(bytes(built.prefix)))
    assert (prefix / "lib" / "python3.13" / "_sysconfigdata.py").read_text() == (
        f"prefix = '{prefix}'\nsrcdir = '/cpython'\nabs_builddir = '/cpython/build'\n"
    )
    assert os.access(restored.executable, os.X_OK)
    assert (prefix / "bin" / "python3").readlink() == Path("python3.13")
    assert (restored.built_at, restored.seconds) == ("2026-01-01", 3.0)
    assert "4 files restored and checked" in console.notes


def test_later_builds_take_it_as_their_own_without_network(export, take, tmp_path):
    restored = take(export())
    settings = settings_for(tmp_path, cache=str(restored.prefix.parent.parent))
    for python in (None, "3.13", "3.13.5"):
        found = find_built(replace(settings, python=python), toolchain=here(), layout=Layout(root=settings.cache))
        assert found == restored


def test_what_was_decided_here_stays_decided(export, take, tmp_path):
    settings = settings_for(tmp_path, cache=str(tmp_path / "here"))
    layout = Layout(root=settings.cache)
    other = replace(
        PINNED, version="3.12.11", sha256="c30bb24b7f1e9a19b11b55a546434f74e739bb4c271a3e3a80ff4380d49f7adb"
    )
    restore.remember_restored(other, settings, layout)
    take(export(), root="here")
    assert find_built(settings, toolchain=here(), layout=layout) is None
    assert find_built(replace(settings, python="3.13"), toolchain=here(), layout=layout)


def test_a_second_restore_does_nothing_and_says_so(export, take, console):
    archive = export()
    first = take(archive)
    assert take(archive) == first
    assert "is up to date" in console.notes


def test_a_restored_interpreter_gives_the_same_archive(export, take, tmp_path, console):
    archive = export()
    restored = take(archive)
    layout = Layout(root=restored.prefix.parent.parent)
    again = tmp_path / "again.tar.zst"
    export_interpreter(
        restored, plan_for(tmp_path, here()), again, numpy="", toolchain=here(), layout=layout, console=console
    )
    assert again.read_bytes() == archive.read_bytes()


def rebuilt(archive, change, tmp_path):
    """Write the archive again with its contents and members changed by ``change(contents, members)``."""
    data = io.BytesIO(archive_file.zstd.decompress(archive.read_bytes()))
    with tarfile.open(fileobj=data) as tar:
        members = [(member, tar.extractfile(member).read() if member.isreg() else b"") for member in tar]
    contents = json.loads(members.pop(0)[1])
    change(contents, members)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        head = tarfile.TarInfo(CONTENTS_NAME)
        text = json.dumps(contents).encode()
        for member, content in [(head, text), *members]:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    target = tmp_path / "changed.tar.zst"
    target.write_bytes(archive_file.zstd.compress(out.getvalue()))
    return target


def with_member(name, **attributes):
    def change(_contents, members):
        member = tarfile.TarInfo(name)
        for attribute, value in attributes.items():
            setattr(member, attribute, value)
        members.append((member, b""))

    return change


def in_plan(**changes):
    return lambda contents, _members: contents["plan"].update(changes)


def swapped(_contents, members):
    member, content = next(pair for pair in members if pair[0].name == "bin/python3.13")
    members[members.index((member, content))] = (member, content[::-1])


def with_entries(*entries):
    def change(contents, members):
        contents["files"] += entries
        for entry in entries:
            member = tarfile.TarInfo(entry["path"])
            if "target" in entry:
                member.type, member.linkname = tarfile.SYMTYPE, entry["target"]
            members.append((member, b""))

    return change


def bomb(_contents, members):
    member, _ = next(pair for pair in members if pair[0].name == "bin/python3.13")
    members[[each for each, _ in members].index(member)] = (member, bytes(100_000_000))


CHANGES = {
    "libc": (in_plan(libc="glibc-2.31", key="other"), "glibc-2.31, and the C library here"),
    "processor": (in_plan(compiler="clang 19.1.7 riscv64-linux-gnu", key="other"), "for riscv64 processors"),
    "runtime": (in_plan(runtime_id="e" * 64, key="other"), "runtime is eeeeeeeeeeee"),
    "compiler": (
        in_plan(compiler=f"clang 18.1.8 {platform.machine()}-pc-linux-gnu", key="other"),
        r"with clang 18\.1\.8 .*and the compiler here is clang 19\.1\.7",
    ),
    "recipe": (in_plan(flags={}, key="other"), "differently: flags"),
    "key": (in_plan(key="other"), "its key is not that of its plan"),
    "newer": (
        lambda contents, _members: contents.update(schema=SCHEMA + 1, files="in a way of its own"),
        f"newer than this python-tsan: it has schema {SCHEMA + 1}, and schema {SCHEMA} is supported",
    ),
    "foreign": (lambda contents, _members: contents.update(format="a game"), "holds no interpreter"),
    "nonsense": (lambda contents, _members: contents.update(files=3), "its list is damaged"),
    "climbing": (with_member("../evil"), "outside its folder"),
    "absolute": (with_member("/etc/evil"), "outside its folder"),
    "link out": (with_member("lib/evil", type=tarfile.SYMTYPE, linkname="../../evil"), "outside the folder"),
    "through link": (with_member("bin/python3/evil"), "through a symbolic link"),
    "device": (with_member("lib/evil", type=tarfile.CHRTYPE), "a device"),
    "unlisted": (with_member("lib/evil"), "'lib/evil' is in it, and not in its list"),
    "twice": (with_member("bin/python3.13"), "not in its list"),
    "missing": (lambda _contents, members: members.pop(), "files are missing in it"),
    "two spellings": (with_entries({"path": "d"}, {"path": "./d"}), "'./d' is not a path below a folder"),
    "a file and its child": (with_entries({"path": "d"}, {"path": "d/e"}), "'d' is a file in its list, and a folder"),
    "a folder and a link": (
        with_entries({"path": "d/e"}, {"path": "d", "target": "lib"}),
        "'d' is a file in its list, and a folder",
    ),
    "listed twice": (with_entries({"path": "d"}, {"path": "d"}), "names a file twice"),
    "a long name": (with_entries({"path": "n" * 300}), "is too long"),
    "climbing in the list": (with_entries({"path": "../d"}), "not a path below a folder"),
    "moves to nowhere": (with_entries({"path": "d", "target": "none", "moves": True}), "'d' is a link"),
    "too large": (with_entries({"path": "d", "size": 3 << 30}), "3,072 MB"),
    "a bomb": (bomb, "has another size than its list says"),
    "a version that climbs": (
        lambda contents, _members: contents["source"].update(version="../../x"),
        "'../../x' is not a CPython version",
    ),
    "different": (swapped, "'bin/python3.13' has another SHA-256"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_or_is_not_what_it_says_is_refused(export, take, tmp_path, name):
    change, reason = CHANGES[name]
    with pytest.raises(FetchError, match=reason) as caught:
        take(rebuilt(export(), change, tmp_path))
    assert (caught.value.exit_code, caught.value.page) == (4, "prebuilt")
    assert "changed.tar.zst is refused: " in caught.value.message
    assert not list(tmp_path.glob("elsewhere/**/manifest.json"))
    assert not list(tmp_path.glob("elsewhere/**/work/artifacts/*"))
    assert not (tmp_path / "evil").exists()


def test_a_flipped_bit_is_found_wherever_it_is(export, take, tmp_path):
    data = export().read_bytes()
    refused = 0
    for place in range(0, len(data), max(1, len(data) // 50)):
        damaged = tmp_path / "damaged.tar.zst"
        damaged.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        if says_the_same(damaged.read_bytes(), data):
            continue
        with pytest.raises(FetchError, match="refused"):
            take(damaged)
        refused += 1
    assert refused > 40
    assert not list(tmp_path.glob("elsewhere/**/manifest.json"))


def says_the_same(one, other):
    """Whether two archives decode alike: zstd's frames have bits that mean nothing, or the same in two ways."""
    try:
        return archive_file.zstd.decompress(one) == archive_file.zstd.decompress(other)
    except archive_file.zstd.ZstdError:
        return False


@pytest.mark.parametrize("kept", [0, 3, 100, -1, -6])
def test_a_truncated_archive_is_refused(export, take, tmp_path, kept):
    data = export().read_bytes()
    short = tmp_path / "short.tar.zst"
    short.write_bytes(data[:kept])
    with pytest.raises(FetchError, match="truncated or damaged"):
        take(short)


def test_the_archive_can_be_pinned_by_its_own_hash(export, take):
    archive = export()
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    with pytest.raises(FetchError, match=f"its SHA-256 is {digest}, not {'0' * 64}"):
        take(archive, sha256="0" * 64)
    assert take(archive, sha256=digest.upper())


def test_a_requested_version_is_kept(export, take):
    archive = export()
    with pytest.raises(UsageError, match=r"holds CPython 3\.13\.5, but 3\.12 was requested"):
        take(archive, python="3.12")
    assert take(archive, python="3.13")


def test_no_archive_is_a_plain_message(take, tmp_path):
    with pytest.raises(UsageError, match="there is no archive"):
        take(tmp_path / "nothing.tar.zst")


@pytest.fixture
def server(tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments):
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "archives")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_an_address_serves_as_well_as_a_file(export, take, server, tmp_path):
    restored = take(f"{server}/{export().name}")
    assert restored.executable.exists()
    assert not list((tmp_path / "elsewhere").glob("**/archive.tar.zst"))
    with pytest.raises(FetchError, match=r"could not be downloaded: .* answered 404"):
        take(f"{server}/nothing.tar.zst")


def test_a_full_disk_is_reported_and_leaves_nothing(export, take, monkeypatch, tmp_path):
    archive = export()

    def full(_bundle, folder):
        (folder / "half").write_text("")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(archive_file.ArchiveReader, "unpack", full)
        with pytest.raises(FetchError, match="the disk is full: cannot write"):
            take(archive)
    assert not list(tmp_path.glob("elsewhere/**/manifest.json"))
    assert take(archive).executable.exists()


def test_killed_half_way_it_starts_again(export, take, tmp_path):
    archive = export()
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_prebuilt as test
from python_tsan.console import make_console
test.restore.choose_toolchain = lambda *a, **k: test.here()
test.restore.settle = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
settings = test.settings_for(test.Path({str(tmp_path)!r}), cache={str(tmp_path / "elsewhere")!r})
test.restore_interpreter({str(archive)!r}, settings, layout=test.Layout(root=settings.cache), console=make_console())
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    layout = Layout(root=tmp_path / "elsewhere")
    assert ended.returncode == -signal.SIGKILL
    assert [path.name for path in work_folder(layout).glob("*/prefix")] == ["prefix"]
    assert not layout.interpreters.exists()
    assert take(archive, root="elsewhere").executable.exists()
    assert list(work_folder(layout).iterdir()) == []


def test_what_a_killed_export_left_is_swept_and_no_others(export):
    place = export().parent
    old, young = place / ".a.tar.zst-killed", place / ".a.tar.zst-at-work"
    for each in (old, young):
        each.mkdir()
        (each / "a.tar.zst").write_text("half")
    os.utime(old, (0, 0))
    mine = place / ".a.tar.zst"
    mine.write_text("kept")
    before = export().read_bytes()
    assert (old.exists(), young.exists(), mine.read_text()) == (False, True, "kept")
    assert export().read_bytes() == before
    assert {path.name for path in place.glob(".a*")} == {young.name, mine.name}


def test_a_disk_too_small_for_an_archive_is_no_mistake_of_the_user(built, tmp_path, console, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("python_tsan.cpython.prebuilt.export.write_archive", full)
    target = tmp_path / "out" / "a"
    with pytest.raises(SubjectError, match="the disk is full: cannot write"):
        write(built, target, tmp_path, console)
    assert list(target.parent.iterdir()) == []


def test_an_archive_that_cannot_be_written_is_a_plain_message(built, tmp_path, console):
    with contextlib.suppress(FileExistsError):
        (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        write(built, tmp_path / "file" / "a", tmp_path, console)


def test_an_archive_that_would_shorten_a_library_is_not_written(built, tmp_path, console, monkeypatch):
    """As with gcc once, where a build path in libpython was replaced by a shorter one."""
    real = export_module.without_build_paths
    monkeypatch.setattr(
        export_module,
        "without_build_paths",
        lambda data, work: real(data, work).replace(b"\0more", b""),
    )
    with pytest.raises(BuildError, match=r"does not restore: 1 file changed, such as lib/libpython"):
        write(built, tmp_path / "archives" / "a", tmp_path, console)
    assert list((tmp_path / "archives").iterdir()) == []
    assert not list((tmp_path / "there" / "cache" / "work").glob("export*"))


def test_a_list_nested_deeply_is_refused(export, take, tmp_path):
    archive = export()
    with tarfile.open(fileobj=io.BytesIO(archive_file.zstd.decompress(archive.read_bytes()))) as tar:
        text = tar.extractfile(CONTENTS_NAME).read()
    text = text.replace(b'"plan": {', b'"plan": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b",")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(CONTENTS_NAME)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    deep = tmp_path / "deep.tar.zst"
    deep.write_bytes(archive_file.zstd.compress(out.getvalue()))
    with pytest.raises(FetchError, match="is refused: its list is damaged"):
        take(deep)


def test_what_follows_the_last_file_is_bounded(export, take, tmp_path):
    long = tmp_path / "long.tar.zst"
    long.write_bytes(
        archive_file.zstd.compress(archive_file.zstd.decompress(export().read_bytes()) + bytes(50_000_000))
    )
    with pytest.raises(FetchError, match="goes on after its last file"):
        take(long)


@pytest.mark.parametrize("address", ["http://[::1", "http://[::1]:x/a", "ftp://x/a", "http:///a"])
def test_an_invalid_address_is_refused(take, address):
    with pytest.raises(FetchError, match="could not be downloaded"):
        take(address)
