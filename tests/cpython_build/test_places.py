"""Where CPython can be built, and where it can only be moved to."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from python_tsan.cpython.build.build_dirs import refuse_unbuildable, refuse_unmovable
from python_tsan.cpython.prebuilt.restore import restore_interpreter
from python_tsan.errors import UsageError

PLAIN = ["/home/user/.cache/python-tsan", "/srv/Caché/日本", "/a/b-c_d.e+f@g,h=i~j"]


@pytest.mark.parametrize("root", PLAIN)
def test_letters_of_any_language_do_no_harm(root):
    refuse_unbuildable(Path(root))
    refuse_unmovable(Path(root))


@pytest.mark.parametrize("sign", list(" \t\n\"'`$&;|<>()*?[]#%:\\"))
def test_what_a_makefile_cannot_bear_is_refused(sign):
    with pytest.raises(UsageError, match="CPython cannot be built in") as caught:
        refuse_unbuildable(Path(f"/a/b{sign}c"))
    assert repr(sign) in caught.value.message
    assert "--cache" in caught.value.advice


@pytest.mark.parametrize("sign", list("\n\"'`$:\\"))
def test_what_neither_loader_nor_python_can_bear_is_refused_for_archives_too(sign):
    with pytest.raises(UsageError, match="CPython cannot be moved to"):
        refuse_unmovable(Path(f"/a/b{sign}c"))


def test_an_archive_can_go_where_a_build_cannot():
    refuse_unmovable(Path("/a/my cache (new)"))


def test_a_build_is_not_even_begun(fake, trace, tmp_path):
    with pytest.raises(UsageError, match="do not support ' ' in paths"):
        fake(cache=str(tmp_path / "my cache"))
    assert trace() == []


def test_an_archive_is_not_even_read():
    layout = SimpleNamespace(root=Path("/it's"))
    with pytest.raises(UsageError, match="cannot be moved to"):
        restore_interpreter("no archive", None, layout=layout, console=None)
