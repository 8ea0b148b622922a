"""What configure found out: when it is used again."""

from __future__ import annotations

import pytest
from fake_build import RECORD, make_toolchain, settings_for

from python_tsan.cpython.build import configured
from python_tsan.cpython.build.configured import fingerprint, keep, restore
from python_tsan.cpython.plan import Placeholder
from python_tsan.cpython.planning import make_plan


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host's folders of headers and libraries, all of them below tmp_path."""
    includes, libraries = tmp_path / "include", tmp_path / "lib"
    for folder in (includes / "x86_64-linux-gnu", libraries / "x86_64-linux-gnu" / "pkgconfig"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(configured, "INCLUDE_FOLDERS", (str(includes),))
    monkeypatch.setattr(configured, "LIBRARY_FOLDERS", (str(libraries),))
    return tmp_path


@pytest.fixture
def look(tmp_path):
    plan = make_plan(settings_for(tmp_path), RECORD, make_toolchain(), libc="glibc-2.36")
    return lambda places=None, env=None: fingerprint(
        plan, places or {Placeholder.PREFIX: "/p"}, env or {"PATH": "/bin"}
    )


def test_an_unchanged_host_has_the_same_fingerprint(host, look):
    assert host.is_dir()
    assert look() == look()


@pytest.mark.parametrize(
    "change",
    [
        "include/zlib.h",
        "include/x86_64-linux-gnu/ffi.h",
        "lib/x86_64-linux-gnu/libz.so",
        "lib/x86_64-linux-gnu/pkgconfig/z.pc",
    ],
)
def test_a_package_that_comes_changes_it(host, look, change):
    before = look()
    (host / change).touch()
    assert look() != before


def test_what_is_no_library_does_not(host, look):
    before = look()
    (host / "lib" / "README").touch()
    assert look() == before


def test_places_and_variables_count(host, look):
    assert host.is_dir()
    assert len({look(), look({Placeholder.PREFIX: "/q"}), look(env={"PATH": "/bin", "PKG_CONFIG_PATH": "/x"})}) == 3


def test_keep_and_restore(tmp_path):
    build, saved = tmp_path / "build", tmp_path / "kept" / "one"
    build.mkdir()
    for name in ("Makefile", "pyconfig.h", "config.log"):
        (build / name).write_text(name)
    keep(build, saved)
    assert restore(saved, tmp_path / "again")
    assert {path.name for path in (tmp_path / "again").iterdir()} == {"Makefile", "pyconfig.h"}
    assert (tmp_path / "again" / "Makefile").stat().st_mtime_ns == (build / "Makefile").stat().st_mtime_ns


def test_keep_replaces_older_states(tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    (build / "Makefile").touch()
    keep(build, tmp_path / "kept" / "one")
    keep(build, tmp_path / "kept" / "two")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["two"]


def test_nothing_kept_restores_nothing(tmp_path):
    assert not restore(tmp_path / "none", tmp_path / "build")
    assert not (tmp_path / "build").exists()
