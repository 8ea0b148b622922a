"""The whole: which source is taken, what is reported, what is remembered, and what is refused."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from lookalikes import make_archive, make_release, sends, source_files

from python_tsan.cpython.manifest import Interpreter, SourceRecord, write_manifest
from python_tsan.cpython.sources import search
from python_tsan.cpython.sources.search import obtain_source, resolve_record
from python_tsan.cpython.sources.store import recall
from python_tsan.errors import ExitCode, FetchError, PythonTsanError, UsageError
from python_tsan.setting_values import NEWEST_MINOR

DEFAULT = make_archive("3.12.11")
NEWER = make_archive("3.13.5")
PATHS = {version: f"/ftp/{version}/Python-{version}.tar.xz" for version in ("3.12.11", "3.13.5")}


@pytest.fixture(autouse=True)
def pins(pin):
    pin(make_release("3.12.11", DEFAULT), make_release("3.13.5", NEWER))


@pytest.fixture
def served(server):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)


@pytest.fixture
def obtain(layout, console):
    return partial(obtain_source, layout=layout, console=console)


@pytest.fixture
def online(server, settings):
    def make(**values):
        return settings(python_org=f"{server.url}/ftp", **values)

    return make


def test_the_default_comes_from_python_org_and_is_remembered(server, online, layout, console):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)
    assert resolve_record(online(), layout) is None
    tree = obtain_source(online(), layout=layout, console=console)
    assert (tree.record.version, tree.record.replaces) == ("3.12.11", "")
    server.answers.clear()
    server.requests.clear()
    assert obtain_source(online(), layout=layout, console=console) == tree
    assert resolve_record(online(), layout) == tree.record
    assert server.requests == []


def test_the_nearest_replaces_the_default_and_that_is_reported_in_one_line(server, online, layout, console):
    server.answers[PATHS["3.13.5"]] = sends(NEWER)
    tree = obtain_source(online(), layout=layout, console=console)
    assert (tree.record.version, tree.record.replaces) == ("3.13.5", "3.12.11")
    warnings = [line for line in console.text().splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "CPython 3.12.11 is unavailable; using 3.13.5 (" in warnings[0]
    assert resolve_record(online(), layout) == tree.record


def test_a_memory_of_a_replacement_is_reported_again(server, online, layout, console):
    server.answers[PATHS["3.13.5"]] = sends(NEWER)
    obtain_source(online(), layout=layout, console=console)
    server.requests.clear()
    assert obtain_source(online(), layout=layout, console=console).record.replaces == "3.12.11"
    assert console.text().count("is unavailable; using ") == 2
    assert server.requests == []


def test_refresh_tries_the_default_again(server, online, layout, console):
    server.answers[PATHS["3.13.5"]] = sends(NEWER)
    obtain_source(online(), layout=layout, console=console)
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)
    assert resolve_record(online(refresh=True), layout) is None
    assert obtain_source(online(refresh=True), layout=layout, console=console).record.version == "3.12.11"
    assert resolve_record(online(), layout).replaces == ""


def test_a_named_version_is_never_replaced(server, online, layout, console):
    server.answers[PATHS["3.13.5"]] = sends(NEWER)
    with pytest.raises(FetchError, match=r"CPython 3\.12\.11 is unavailable") as caught:
        obtain_source(online(python="3.12.11"), layout=layout, console=console)
    assert caught.value.exit_code is ExitCode.FETCH
    for supply in ("python.org: ", "answered 404", "git: ", "the distribution's archive: "):
        assert supply in caught.value.message
    assert "--source" in caught.value.advice
    assert PATHS["3.13.5"] not in server.requests
    assert recall("3.12.11", layout) is None


def test_a_memory_of_a_replacement_does_not_serve_a_named_version(server, online, layout, console):
    server.answers[PATHS["3.13.5"]] = sends(NEWER)
    obtain_source(online(), layout=layout, console=console)
    assert resolve_record(online(python="3.12.11"), layout) is None
    with pytest.raises(FetchError):
        obtain_source(online(python="3.12.11"), layout=layout, console=console)


def test_a_minor_takes_its_newest(server, online, layout, console):
    server.answers[PATHS["3.13.5"]] = sends(NEWER)
    record = obtain_source(online(python="3.13"), layout=layout, console=console).record
    assert (record.version, record.replaces) == ("3.13.5", "")


def test_when_nothing_is_available_each_place_is_listed_once(settings, layout, console):
    with pytest.raises(FetchError, match="nor any release in its place") as caught:
        obtain_source(settings(), layout=layout, console=console)
    assert len(caught.value.message.splitlines()) == 4
    assert "cannot be reached" in caught.value.message
    assert caught.value.message.count("python.org: ") == 1


def test_a_place_that_is_down_is_asked_once(settings, layout, console, monkeypatch):
    asked = []
    real = search.PythonOrg.provide

    def counted(self, release):
        asked.append(release.version)
        return real(self, release)

    monkeypatch.setattr(search.PythonOrg, "provide", counted)
    with pytest.raises(FetchError):
        obtain_source(settings(), layout=layout, console=console)
    assert asked == ["3.12.11"]


def test_a_corrupt_download_is_kept_and_named(server, online, layout, console):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT[:-40] + b"?" * 40)
    with pytest.raises(FetchError, match="different from what is pinned") as caught:
        obtain_source(online(python="3.12.11"), layout=layout, console=console)
    assert caught.value.evidence.parent == layout.quarantine
    assert caught.value.evidence.is_file()
    assert str(caught.value.evidence) in console.text()


def test_a_lost_tree_is_unpacked_again_without_network(server, online, layout, console):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)
    tree = obtain_source(online(), layout=layout, console=console)
    (tree.path / "configure").unlink()
    server.answers.clear()
    server.requests.clear()
    assert obtain_source(online(), layout=layout, console=console) == tree
    assert (tree.path / "configure").is_file()
    assert server.requests == []


def test_a_damaged_cached_archive_is_put_aside_and_fetched_again(server, online, layout, console):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)
    tree = obtain_source(online(), layout=layout, console=console)
    (tree.path / "configure").unlink()
    (cached,) = layout.downloads.glob("*.xz")
    cached.write_bytes(b"damage")
    assert obtain_source(online(), layout=layout, console=console).path == tree.path
    assert cached.read_bytes() == DEFAULT
    assert [path.read_bytes() for path in layout.quarantine.iterdir()] == [b"damage"]


def test_a_memory_ends_with_its_pin(server, online, layout, console, pin):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)
    obtain_source(online(), layout=layout, console=console)
    pin(make_release("3.12.11", b"corrected"))
    assert resolve_record(online(), layout) is None
    pin(make_release("3.13.5", NEWER))
    assert resolve_record(online(), layout) is None


@pytest.mark.parametrize("damage", ["", "[]", '{"version": 1}', "\xff"])
def test_a_damaged_memory_counts_as_none(server, online, layout, console, damage):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)
    tree = obtain_source(online(), layout=layout, console=console)
    (layout.sources / "chosen-default-3.12.11.json").write_text(damage, encoding="latin-1")
    assert resolve_record(online(), layout) is None
    assert obtain_source(online(), layout=layout, console=console) == tree


def test_the_memory_answers_without_the_network_and_the_source(server, online, layout, console):
    server.answers[PATHS["3.12.11"]] = sends(DEFAULT)
    tree = obtain_source(online(), layout=layout, console=console)
    requests = list(server.requests)
    shutil.rmtree(layout.downloads, ignore_errors=True)
    assert resolve_record(online(), layout) == tree.record
    assert server.requests == requests


def test_two_runs_share_one_download(server, online, layout, console):
    def slowly(handler):
        time.sleep(0.3)
        sends(NEWER)(handler)

    server.answers[PATHS["3.13.5"]] = slowly
    trees = []
    runs = [
        threading.Thread(target=lambda: trees.append(obtain_source(online(), layout=layout, console=console)))
        for _ in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(set(map(repr, trees))) == 1
    assert len(trees) == 3
    assert server.requests == [PATHS["3.12.11"], PATHS["3.13.5"]]
    assert "waiting" in console.text()


# What the user names


def named(tmp_path, content=NEWER, name="my.tar.xz"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_a_named_archive_is_taken_and_its_hash_reported(tmp_path, settings, layout, console):
    other = make_archive("3.14.2", suffix="gz")
    path = named(tmp_path, other)
    assert resolve_record(settings(source=path), layout) is None
    tree = obtain_source(settings(source=path), layout=layout, console=console)
    assert (tree.record.version, tree.record.origin, tree.record.replaces) == ("3.14.2", str(path), "")
    assert tree.record.sha256 in console.text()
    assert "not a pinned archive" in console.text()
    assert resolve_record(settings(source=path), layout) == tree.record
    assert path.read_bytes() == other


def built_from(origin, version, layout):
    folder = layout.interpreters / f"{version}-clang-19-{len(str(origin))}"
    (folder / "bin").mkdir(parents=True)
    executable = folder / "bin" / "python3"
    executable.touch()
    found = Interpreter(
        key=folder.name,
        instrumented=True,
        version=version,
        free_threaded=False,
        debug=True,
        prefix=folder,
        executable=executable,
        library=folder / "libpython.so",
        include=folder,
        cc=executable,
        cxx=executable,
        toolchain="clang-19",
        runtime=None,
        runtime_id="",
        source=SourceRecord(version=version, origin=str(origin), sha256="0" * 64),
    )
    write_manifest(found, folder)


def test_a_build_from_a_named_source_of_the_requested_version_is_named_before_anything_is_downloaded(
    tmp_path, online, layout, console
):
    for version, origin in (("3.13.5", "mine"), ("3.14.2", "another"), ("3.13.5", "a source that is gone")):
        if "gone" not in origin:
            (tmp_path / origin).mkdir()
        built_from(tmp_path / origin, version, layout)
    built_from(tmp_path / ("x" * 300), "3.13.5", layout)  # raises like a folder of another user
    built_from("https://www.python.org/ftp/python/3.13.5/Python-3.13.5.tar.xz", "3.13.5", layout)
    mine = tmp_path / "mine"
    line = f"CPython 3.13.5 is in the cache, built from {mine}; to use it, add --source {mine}"
    for requested in ("3.13.5", "3.13"):
        with pytest.raises(FetchError):
            obtain_source(online(python=requested), layout=layout, console=console)
    assert console.text().count(line) == 2
    assert console.text().index(line) < console.text().index("answered 404")
    assert console.text().count("is in the cache") == 2
    with pytest.raises(FetchError):
        obtain_source(online(), layout=layout, console=console)
    assert console.text().count("is in the cache") == 2


def test_a_named_pinned_archive_is_reported_as_pinned(tmp_path, settings, layout, console):
    path = named(tmp_path)
    assert (
        obtain_source(settings(source=path, python="3.13"), layout=layout, console=console).record.version == "3.13.5"
    )
    assert "as pinned" in console.text()


@pytest.mark.parametrize("version", ["3.12.11", "3.13.6", "3.1"])
def test_a_named_archive_of_another_version_is_refused(tmp_path, settings, layout, console, version):
    path = named(tmp_path)
    if version == "3.1":
        with pytest.raises(UsageError):
            settings(source=path, python=version)
        return
    with pytest.raises(UsageError, match=f"is CPython 3.13.5, but {version} was requested") as caught:
        obtain_source(settings(source=path, python=version), layout=layout, console=console)
    assert caught.value.evidence == path
    with pytest.raises(UsageError):
        resolve_record(settings(source=path, python=version), layout)


def test_a_named_source_of_an_unsupported_version_is_refused(tmp_path, settings, layout, console):
    path = named(tmp_path, make_archive("3.10.4"))
    with pytest.raises(UsageError, match=rf"3\.11 to 3\.{NEWEST_MINOR} are supported"):
        obtain_source(settings(source=path), layout=layout, console=console)


def test_a_named_source_of_a_version_to_come_is_taken_with_a_warning(tmp_path, settings, layout, console):
    version = f"3.{NEWEST_MINOR + 1}.0a0"
    path = named(tmp_path, make_archive(version))
    assert obtain_source(settings(source=path), layout=layout, console=console).record.version == version
    words = f"CPython 3.{NEWEST_MINOR + 1} is not supported yet, 3.11 to 3.{NEWEST_MINOR} are"
    assert words in console.text()
    assert "is not the release" not in console.text()


def test_a_named_source_that_is_later_than_its_release_is_taken_with_a_warning(tmp_path, settings, layout, console):
    path = named(tmp_path, make_archive("3.15.0rc1+dev"))
    assert obtain_source(settings(source=path, python="3.15"), layout=layout, console=console)
    expected = f"{path} is not the release CPython 3.15.0rc1: it states 3.15.0rc1+dev, so it is later than that release"
    assert expected in console.text()
    assert "not supported yet" not in console.text()


def test_a_mirror_without_the_tag_ends_as_a_fetch_error_that_names_it(tmp_path, settings, obtain, pin):
    mirror = tmp_path / "mirror"
    subprocess.run(["git", "init", "--quiet", mirror], check=True)
    pin(make_release("3.12.11", b"", commit="1" * 40))
    with pytest.raises(FetchError, match=rf"git: {mirror.as_uri()} has no tag v3\.12\.11") as caught:
        obtain(settings(git=mirror.as_uri(), python="3.12.11"))
    assert caught.value.exit_code is ExitCode.FETCH


@pytest.mark.parametrize(
    ("content", "said"), [(NEWER[:100], "truncated: 100 of"), (NEWER + b"x", "different: SHA-256")]
)
def test_an_archive_must_be_what_its_name_says(tmp_path, settings, obtain, content, said):
    path = named(tmp_path, content, "Python-3.13.5.tar.xz")
    with pytest.raises(FetchError, match=said) as caught:
        obtain(settings(source=path))
    assert caught.value.evidence == path
    assert path.exists()


def test_a_damaged_named_archive_is_an_integrity_error(tmp_path, settings, layout, console):
    path = named(tmp_path, NEWER[: len(NEWER) // 2])
    with pytest.raises(FetchError, match="truncated or not a tar archive") as caught:
        obtain_source(settings(source=path), layout=layout, console=console)
    assert caught.value.evidence == path


def test_a_named_source_that_is_not_there(tmp_path, settings, layout, console):
    with pytest.raises(UsageError, match="No such file"):
        obtain_source(settings(source=tmp_path / "gone.tar"), layout=layout, console=console)


def test_a_named_folder_is_resolved_and_taken(tmp_path, settings, layout, console):
    for name, content in source_files("3.15.0b1").items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    chosen = settings(source=tmp_path / "tree")
    record = resolve_record(chosen, layout)
    assert record.version == "3.15.0b1"
    assert obtain_source(chosen, layout=layout, console=console).record == record
    with pytest.raises(UsageError, match="was requested"):
        obtain_source(settings(source=tmp_path / "tree", python="3.13.5"), layout=layout, console=console)


# The cache's folder


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.usefixtures("served")
def test_a_cache_that_cannot_be_written_is_one_clear_error(online, layout, obtain, monkeypatch, error):
    real = os.mkdir

    def refuse(path, *arguments, **keywords):
        if "downloads" in str(path):
            raise OSError(error, os.strerror(error), str(path))
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(FetchError, match="disk is full" if error == errno.ENOSPC else "cannot write") as caught:
        obtain(online())
    assert caught.value.evidence == layout.downloads
    assert "--cache" in caught.value.advice


def test_a_cache_below_a_file_is_one_clear_error(online, layout, obtain):
    layout.root.write_text("in the way")
    with pytest.raises(PythonTsanError, match=r"cannot (be created|write)") as caught:
        obtain(online())
    assert "--cache" in caught.value.advice


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_that_is_really_full(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    archive = tmp_path / "big.tar"
    archive.write_bytes(make_archive("3.13.5", suffix="") + b"")
    program = f"""
from pathlib import Path
from python_tsan.cpython.sources.unpack import unpack_archive
from python_tsan.errors import FetchError
from python_tsan.paths import Layout
layout = Layout(root=Path({str(folder)!r}))
layout.root.joinpath("ballast").write_bytes(b"x" * 53_000)
try:
    unpack_archive(Path({str(archive)!r}), "0" * 64, layout)
except FetchError as error:
    print(error.message, sorted(path.name for path in layout.work.iterdir()), layout.sources.exists())
"""
    script = f'mount -t tmpfs -o size=64k none {folder} && exec {sys.executable} -c "$0"'
    done = subprocess.run(
        [shutil.which("unshare") or "unshare", "--mount", "sh", "-c", script, program],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    assert done.stderr == ""
    assert done.stdout.startswith("the disk is full")
    assert done.stdout.rstrip().endswith("[] False")
