"""The distribution's archive: reading the machine's apt, staying out of it, and one real download."""

import os
import shutil
import subprocess
import sys

import pytest
from lookalikes import make_release

from python_tsan.cpython.pins import load_releases
from python_tsan.cpython.sources import distribution
from python_tsan.cpython.sources.distribution import (
    DistributionArchive,
    SourcePackage,
    choose_mirror,
    distribution_family,
    parse_showsrc,
    private_apt,
)
from python_tsan.cpython.sources.provider import Unavailable

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine")

DEB822 = """\
Types: deb
URIs: http://security.example.org/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://disabled.example.org/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://comment.example.org/debian bookworm main
deb [arch=amd64] http://security.example.org/debian-security bookworm-security main
deb [ arch=amd64 ] mirror+file:/etc/apt/mirrors.txt bookworm main
"""
SHOWSRC = """\
Package: python3.13
Version: 3.13.18-1
Checksums-Sha256:
 aaaa 3912 python3.13_3.13.18-1.dsc
 bbbb 23243936 python3.13_3.13.18.orig.tar.xz
Files:
 cccc 23243936 python3.13_3.13.18.orig.tar.xz

Package: python3.13
Version: 3.13.15-1
Checksums-Sha256:
 dddd 23160540 python3.13_3.13.15.orig.tar.xz
Homepage: https://www.python.org
"""


def configured(monkeypatch, folder, *, parts="/nonexistent"):
    """Make apt read only the sources below ``parts``, as if that were the machine's configuration."""
    configuration = folder / "machine.conf"
    configuration.write_text(f'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "{parts}";\n')
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    monkeypatch.setattr(distribution, "_os_release", lambda: {"VERSION_CODENAME": "bookworm"})


@pytest.fixture
def archive(layout, console):
    return DistributionArchive(timeout=5, layout=layout, console=console)


@needs_apt
@pytest.mark.parametrize(
    ("name", "text", "mirror"),
    [
        ("debian.sources", DEB822, "https://mirror.example.org/debian"),
        ("debian.list", ONE_LINE, "mirror+file:/etc/apt/mirrors.txt"),
    ],
    ids=["deb822", "one-line"],
)
def test_the_mirror_of_the_machine(tmp_path, monkeypatch, archive, name, text, mirror):  # noqa: PLR0917 -- as pytest has it
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / name).write_text(text)
    configured(monkeypatch, tmp_path, parts=parts)
    assert archive._mirror() == mirror


@needs_apt
def test_a_machine_without_mirror(tmp_path, monkeypatch, archive):
    configured(monkeypatch, tmp_path)
    with pytest.raises(Unavailable, match="names no mirror") as caught:
        archive._mirror()
    assert caught.value.whole


def test_the_machine_s_own_release_is_preferred():
    targets = [
        "http://third.example.org/ stable main",
        "http://own.example.org/debian/ trixie main",
        "http://own.example.org/debian/ trixie-updates main",
    ]
    assert choose_mirror(targets, codename="trixie") == "http://own.example.org/debian"
    assert choose_mirror(targets, codename="") == "http://third.example.org"


@pytest.mark.parametrize(
    "line",
    [
        "http://x.example.org/ trixie contrib",
        "http://x.example.org/ trixie-security main",
        "http://x.example.org/ trixie/updates main",
        "http://x.example.org/ noble-backports main",
        "",
    ],
)
def test_what_is_no_main_archive(line):
    assert choose_mirror([line], codename="trixie") is None


def test_showsrc_gives_the_hashes_of_each_version():
    newest, older = parse_showsrc(SHOWSRC)
    assert newest == SourcePackage(
        package="python3.13",
        version="3.13.18-1",
        files={"python3.13_3.13.18-1.dsc": "aaaa", "python3.13_3.13.18.orig.tar.xz": "bbbb"},
    )
    assert older.files == {"python3.13_3.13.15.orig.tar.xz": "dddd"}
    assert parse_showsrc("") == []


def test_the_version_with_the_pinned_hash_is_chosen():
    wanted = make_release("3.13.15", b"")
    packages = parse_showsrc(SHOWSRC.replace("dddd", wanted.archives[0].sha256))
    assert distribution._holding(wanted, packages, "sid").version == "3.13.15-1"


def test_a_suite_that_moved_on_says_what_it_has():
    with pytest.raises(Unavailable, match=r"sid does not carry the pinned 3\.13\.5 .*3\.13\.18-1, 3\.13\.15-1"):
        distribution._holding(make_release("3.13.5", b""), parse_showsrc(SHOWSRC), "sid")
    with pytest.raises(Unavailable, match="has no such package"):
        distribution._holding(make_release("3.13.5", b""), [], "sid")


@needs_apt
def test_apt_does_not_change_the_machine(tmp_path):
    options = private_apt(tmp_path, mirror="http://m.example.org/debian", suite="trixie", family="debian", timeout=7)
    shown = subprocess.run(
        [shutil.which("apt-config") or "", *options, "dump"],
        check=True,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    ).stdout
    assert f'Dir::State "{tmp_path}/state";' in shown
    assert f'Dir::Cache "{tmp_path}/cache";' in shown
    assert f'Dir::Etc::sourcelist "{tmp_path}/sources.list";' in shown
    assert 'Acquire::http::Timeout "7";' in shown
    hooks = [line for line in shown.splitlines() if line.startswith("APT::Update::")]
    assert [line for line in hooks if not line.endswith(' "";')] == []
    line = (tmp_path / "sources.list").read_text()
    assert line.startswith("deb-src ")
    assert line.endswith("http://m.example.org/debian trixie main\n")


@pytest.mark.parametrize(
    ("facts", "family"),
    [
        ({"ID": "debian"}, "debian"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "ubuntu"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "ubuntu"),
        ({"ID": "fedora"}, ""),
        ({}, ""),
    ],
)
def test_the_family_of_the_machine(monkeypatch, facts, family):
    monkeypatch.setattr(distribution, "_os_release", lambda: facts)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/apt-get")
    assert distribution_family() == family


def test_another_system_is_whole(layout, console):
    with pytest.raises(Unavailable, match="neither Debian") as caught:
        DistributionArchive(timeout=5, layout=layout, console=console).provide(make_release("3.13.5", b""))
    assert caught.value.whole


def test_a_release_without_suite_asks_nobody(monkeypatch, layout, console):
    monkeypatch.setattr(distribution, "distribution_family", lambda: "debian")
    with pytest.raises(Unavailable, match=r"no suite of Debian is known to have 3\.12\.11") as caught:
        DistributionArchive(timeout=5, layout=layout, console=console).provide(make_release("3.12.11", b""))
    assert not caught.value.whole


@needs_apt
def test_a_mirror_that_does_not_answer_is_whole(monkeypatch, layout, console):
    monkeypatch.setattr(distribution, "distribution_family", lambda: "debian")
    monkeypatch.setattr(DistributionArchive, "_mirror", lambda _: "http://127.0.0.1:9/debian")
    release = make_release("3.13.5", b"", suites={"debian": ("trixie", "sid")})
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1") as caught:
        DistributionArchive(timeout=1, layout=layout, console=console).provide(release)
    assert caught.value.whole
    assert list(layout.work.iterdir()) == []


@needs_apt
def test_a_mirror_without_the_suite_is_asked_for_the_next(monkeypatch, layout, console, server):
    monkeypatch.setattr(distribution, "distribution_family", lambda: "debian")
    monkeypatch.setattr(DistributionArchive, "_mirror", lambda _: f"{server.url}/debian")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    release = make_release("3.13.5", b"", suites={"debian": ("one", "two")})
    with pytest.raises(Unavailable, match=r"debian one: .*; .*debian two: ") as caught:
        DistributionArchive(timeout=2, layout=layout, console=console).provide(release)
    assert not caught.value.whole
    assert "/debian/dists/two/InRelease" in server.requests


PROGRAM = """
import sys
from pathlib import Path
from python_tsan.console import make_console
from python_tsan.cpython.sources.distribution import DistributionArchive
from python_tsan.cpython.pins import load_releases
from python_tsan.paths import Layout

supply = DistributionArchive(timeout=20, layout=Layout(root=Path(sys.argv[1])), console=make_console())
tree = supply.provide(load_releases()["3.13.5"])
print(tree.record.sha256, (tree.path / "configure").is_file())
"""


def lists_of_the_machine():
    return sorted((entry.name, entry.stat().st_mtime_ns) for entry in os.scandir("/var/lib/apt/lists"))


@needs_apt
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(distribution.distribution_family() != "debian", reason="asks Debian's archive")
@pytest.mark.parametrize("user", ["self", "nobody"])
def test_the_real_archive_gives_what_is_pinned(tmp_path_factory, user):
    folder = tmp_path_factory.mktemp("archive")
    prefix = []
    if user == "nobody":
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            pytest.skip("only root can become nobody")
        for reached in (folder, folder.parent, folder.parent.parent):
            reached.chmod(0o755)
        os.chown(folder, 65534, 65534)
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    before = lists_of_the_machine()
    command = [*prefix, sys.executable, "-c", PROGRAM, str(folder / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(folder)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [load_releases()["3.13.5"].archives[0].sha256, "True"]

    assert lists_of_the_machine() == before
