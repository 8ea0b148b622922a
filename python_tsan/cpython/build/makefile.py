"""Read and edit the text of CPython's configured Makefile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from python_tsan.cpython.plan import Append, Room
from python_tsan.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

# As configure writes it: MODULE__DBM_STATE=missing (and with no blank round the sign)
_STATE = re.compile(r"^MODULE_(?P<name>\w+)_STATE=(?P<state>\S+)$", re.MULTILINE)
# Objects/abstract.o, wherever it is named
_OBJECT = re.compile(r"\b[\w./-]+\.o\b")
# The necessary bits to build these optional modules were not found:
# _dbm                  _gdbm                 _tkinter
_SETUP_MISSING = re.compile(r"optional modules were not found:\n(?P<names>(?:[ \t]*\w.*\n)+?)(?=To find|\n)")
# Failed to build these modules:   /   Following modules built successfully but were removed because ...
_SETUP_FAILED = re.compile(r"(?:Failed to build these modules|could not be imported):\n(?P<names>(?:[ \t]*\w.*\n)+)")
# -DPREFIX='"$(prefix)"' \   and the same with EXEC_PREFIX, in the recipe of Modules/getpath.o
_PREFIX = re.compile(r"""(?P<define>-D(?:EXEC_)?PREFIX='"\$\(\w+\))"'""")
_PREFIXES = 2


def edited(text: str, edits: Sequence[Append | Room]) -> str:
    """Return a Makefile's text with each edit carried out.

    Raises ``BuildError`` when it is not laid out as an edit expects: then this version of CPython is not what the plan
    takes it for, and building on would give an interpreter that is not instrumented, or cannot be moved.
    """
    for edit in edits:
        match edit:
            case Append(variable=variable, text=more):
                definition = rf"^{re.escape(variable)}\s*=.*(?<!\\)$"  # of one line
                kept = more.replace("\\", r"\\")  # a template's backslash is written twice
                text, count = re.subn(definition, rf"\g<0> {kept}", text, flags=re.MULTILINE)
                if count != 1:
                    raise _unexpected(f"defines {variable} {count} times where once was expected")
            case Room(size=size):
                # Zero bytes end a C string and take no part in it.
                text, count = _PREFIX.subn(r"""\g<define>$(PREFIX_ROOM)"'""", text)
                if count != _PREFIXES:
                    raise _unexpected(f"compiles a prefix in {count} times where {_PREFIXES} times were expected")
                # Made by the shell, for a literal of this length would be a page of zeros.
                text += f"\nPREFIX_ROOM := $(shell printf '%{size}s' '' | sed 's/ /\\\\0/g')\n"
            case _:
                assert_never(edit)
    return text


def _unexpected(what: str) -> BuildError:
    return BuildError(
        f"CPython's Makefile {what}", advice="this release is laid out differently; please report it with its version"
    )


def missing_modules(makefile: str, output: str) -> tuple[str, ...]:
    """Return the optional extension modules that are not built, sorted.

    From 3.12 on ``configure`` writes each module's state into the Makefile; 3.11 and modules that fail to import are
    known from the build's output only.
    """
    # configure writes upper case, and every optional module is lower case.
    states = {found["name"].lower() for found in _STATE.finditer(makefile) if found["state"] == "missing"}
    named = [name for found in _SETUP_MISSING.finditer(output) for name in found["names"].split()]
    failed = [name for found in _SETUP_FAILED.finditer(output) for name in found["names"].split()]
    return tuple(sorted({*states, *named, *failed}))


def count_objects(makefile: str) -> int:
    """Return about how many objects a build compiles: the distinct ones that the Makefile names."""
    return len(set(_OBJECT.findall(makefile)))
