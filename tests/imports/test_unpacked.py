"""Interpreters unpacked from the distribution's binary packages."""

import subprocess

import pytest

from python_tsan.artifact import work_folder
from python_tsan.console import make_console
from python_tsan.cpython import debian_pythons
from python_tsan.errors import FetchError
from python_tsan.imports.model.interpreter import identify
from python_tsan.paths import Layout


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


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(debian_pythons.distribution_family() != "debian", reason="needs Debian's apt")
def test_they_start_and_are_what_they_are_called(tmp_path):
    paths = debian_pythons.unpack_pythons(layout=Layout(root=tmp_path), console=make_console(quiet=True), timeout=20)
    assert [identify([str(path)]).version[:2] for path in paths] == [(3, 13), (3, 14), (3, 15)]
    for path in paths:
        subprocess.run([path, "-c", "import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, uuid, zlib"], check=True)


def test_another_set_of_packages_is_another_folder(monkeypatch):
    before = debian_pythons.folder_name()
    monkeypatch.setattr(debian_pythons, "MINORS", ("3.16",))
    monkeypatch.setattr(debian_pythons, "LIBRARIES", ())
    assert debian_pythons.folder_name() != before
