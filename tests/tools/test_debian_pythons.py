"""Interpreters unpacked from the distribution's binary packages."""

import subprocess

import pytest

from python_tsan.artifact import work_folder
from python_tsan.console import make_console
from python_tsan.errors import FetchError
from python_tsan.imports.model.interpreter import identify
from python_tsan.paths import Layout
from tools import debian_pythons


def test_each_interpreter_needs_its_four_packages_and_all_share_the_libraries():
    names = debian_pythons.package_names(["3.14"])
    assert names[:4] == ("python3.14-minimal", "libpython3.14-minimal", "libpython3.14-stdlib", "libpython3.14")
    assert set(debian_pythons.LIBRARIES) <= set(names)


def test_elsewhere_than_on_debian_it_is_reported_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(debian_pythons, "distribution_family", lambda: "ubuntu")
    layout = Layout(root=tmp_path)
    with pytest.raises(FetchError) as caught:
        debian_pythons.unpack_pythons(layout=layout, console=make_console(quiet=True), timeout=5)
    assert "--python" in caught.value.advice
    assert not list(work_folder(layout).iterdir())


def test_what_is_there_is_not_fetched_again(tmp_path, monkeypatch):
    layout = Layout(root=tmp_path)
    (layout.interpreters / debian_pythons.folder_name()).mkdir(parents=True)
    monkeypatch.setattr(debian_pythons, "run", lambda *_, **__: pytest.fail("a process was started"))
    paths = debian_pythons.unpack_pythons(layout=layout, console=make_console(quiet=True), timeout=5)
    assert [path.name for path in paths] == ["python3.13", "python3.14", "python3.15"]
    assert str(tmp_path) in paths[0].read_text()


def test_a_script_that_has_not_changed_is_not_written_again(tmp_path):
    """Another process may start it at this moment."""
    first = debian_pythons._launcher(tmp_path, "3.15").stat().st_ino
    assert debian_pythons._launcher(tmp_path, "3.15").stat().st_ino == first
    (tmp_path / "usr/bin/python3.15").write_text("another")
    assert debian_pythons._launcher(tmp_path, "3.15").read_text().startswith("#!/bin/sh")
    assert [path.name for path in (tmp_path / "usr/bin").iterdir()] == ["python3.15"]


POOL = """\
import multiprocessing, subprocess, sys

if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(abs, [-1, 2]) == [1, 2]
    started = subprocess.check_output([sys.executable, "-c", "import sys; print(sys.executable)"], text=True)
    assert started.strip() == sys.executable == sys.argv[1], started
"""


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(debian_pythons.distribution_family() != "debian", reason="needs Debian's apt")
def test_they_start_and_are_what_they_are_called(tmp_path):
    paths = debian_pythons.unpack_pythons(layout=Layout(root=tmp_path), console=make_console(quiet=True), timeout=20)
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    assert [identify([str(path)]).version[:2] for path in paths] == [(3, 13), (3, 14), (3, 15)]
    for path in paths:
        subprocess.run([path, "-c", "import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, uuid, zlib"], check=True)
        subprocess.run([path, script, str(path)], check=True, timeout=60)


def test_another_set_of_packages_is_another_folder(monkeypatch):
    before = debian_pythons.folder_name()
    monkeypatch.setattr(debian_pythons, "MINORS", ("3.16",))
    monkeypatch.setattr(debian_pythons, "LIBRARIES", ())
    assert debian_pythons.folder_name() != before
