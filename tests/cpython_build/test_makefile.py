"""Reading and editing the configured Makefile."""

from __future__ import annotations

import pytest

from python_tsan import process
from python_tsan.cpython.build.makefile import count_objects, edited, missing_modules
from python_tsan.cpython.plan import Append, Room
from python_tsan.errors import BuildError

MAKEFILE = """\
CONFIGURE_CFLAGS=\t-O1
CONFIGURE_LDFLAGS_NODIST=
CONFIGURE_LDFLAGS=
LONG= a \\
    b
MODULE__DBM_STATE=missing
MODULE__SSL_STATE=yes
MODULE_XXLIMITED_STATE=disabled
MODULE__GDBM_STATE=missing
OBJS= Objects/abstract.o \\
    Objects/dict_object.o
Objects/abstract.o: x.c
"""


def test_append_touches_one_line_only():
    after = edited(MAKEFILE, [Append(variable="CONFIGURE_LDFLAGS", text="-fsanitize=thread")])
    assert after == MAKEFILE.replace("CONFIGURE_LDFLAGS=\n", "CONFIGURE_LDFLAGS= -fsanitize=thread\n")


def test_append_keeps_backslashes_and_dollars():
    after = edited(MAKEFILE, [Append(variable="CONFIGURE_CFLAGS", text=r"'$$ORIGIN/../lib' \1")])
    assert "CONFIGURE_CFLAGS=\t-O1 '$$ORIGIN/../lib' \\1\n" in after


@pytest.mark.parametrize("variable", ["ABSENT", "LONG"])
def test_append_refuses_what_it_does_not_understand(variable):
    with pytest.raises(BuildError, match=f"defines {variable} 0 times"):
        edited(MAKEFILE, [Append(variable=variable, text="x")])


def test_append_refuses_a_second_definition():
    with pytest.raises(BuildError, match="defines CONFIGURE_CFLAGS 2 times"):
        edited(MAKEFILE + "CONFIGURE_CFLAGS= -O2\n", [Append(variable="CONFIGURE_CFLAGS", text="x")])


def test_missing_modules_from_the_makefile():
    assert missing_modules(MAKEFILE, "") == ("_dbm", "_gdbm")


def test_missing_modules_from_the_output_of_setup_py():
    output = """\
The necessary bits to build these optional modules were not found:
_dbm                  _gdbm                 _tkinter
nis
To find the necessary bits, look in setup.py in detect_modules() for the module's name.

Failed to build these modules:
_ctypes

"""
    assert missing_modules("", output) == ("_ctypes", "_dbm", "_gdbm", "_tkinter", "nis")


def test_missing_modules_that_cannot_be_imported():
    output = """\
Following modules built successfully but were removed because they could not be imported:
_hashlib              _ssl

Could not build the ssl module!
"""
    assert missing_modules("", output) == ("_hashlib", "_ssl")


def test_count_objects_counts_each_once():
    assert count_objects(MAKEFILE) == 2


GETPATH = """\
Modules/getpath.o:
\tcc -DPREFIX='"$(prefix)"' \\
\t\t-DEXEC_PREFIX='"$(exec_prefix)"' \\
"""


def test_room_is_made_behind_both_prefixes(tmp_path):
    (tmp_path / "Makefile").write_text("prefix=/x\nexec_prefix=$(prefix)\n" + edited(GETPATH, [Room(size=3)]))
    (tmp_path / "Makefile").write_text((tmp_path / "Makefile").read_text().replace("\tcc", "\t@printf '%s\\n'"))
    ended = process.run(["make", "-C", tmp_path, "--no-print-directory", "Modules/getpath.o"])
    assert ended.stdout.split() == [r'-DPREFIX="/x\0\0\0"', r'-DEXEC_PREFIX="/x\0\0\0"']


def test_a_prefix_compiled_in_elsewhere_is_an_error():
    with pytest.raises(BuildError, match="compiles a prefix in 0 times"):
        edited("all:\n", [Room(size=3)])
