"""Define the rows in which threads wait only for module locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .case import CREATE, EXEC, Hold, Row, Variant, ended, reached
from .schedules import FIXED, HAZARD, LOCK, ONE_AT_A_TIME, PARENT_FIRST, PREIMPORT, cross, let_in

if TYPE_CHECKING:
    from collections.abc import Mapping

CHILD_AND_PARENT = {"T1": ("pkg.sub",), "T2": ("pkg",)}
PARENT_THEN_CHILD = {"T1": ("pkg", "pkg.sub"), "T2": ("pkg",)}
SIBLINGS = {"T1": ("pkg.a",), "T2": ("pkg.b",)}
PARENT_THEN_SIBLING = {"T1": ("pkg", "pkg.a"), "T2": ("pkg", "pkg.b")}
A_AND_B = {"T1": ("a",), "T2": ("b",)}


def _outcomes_with(
    threads: Mapping[str, tuple[str, ...]], apart: Mapping[str, tuple[str, ...]], *, main: tuple[str, ...]
) -> tuple[Variant, ...]:
    """Return the hazard of ``threads`` and its fixes; ``apart`` is what they import with each parent first."""
    return (
        Variant(HAZARD, threads),
        Variant(PREIMPORT, threads, main=main),
        Variant(PARENT_FIRST, apart),
        Variant(ONE_AT_A_TIME, threads, one_at_a_time=True),
    )


COLD_WINDOW = Row(
    name="cold_window",
    label="R2",
    summary="T1 owns the lock of pkg.sub and needs pkg; T2 owns pkg, not yet in sys.modules, whose body needs pkg.sub",
    tree={"pkg/__init__.py": "import pkg.sub\n", "pkg/sub.py": "VALUE = 1\n"},
    holds=let_in("T1", "T2", CREATE, "pkg"),
    variants=_outcomes_with(CHILD_AND_PARENT, PARENT_THEN_CHILD, main=("pkg", "pkg.sub")),
)

WARM_WINDOW = Row(
    name="warm_window",
    label="R1",
    summary="T2 is inside the body of pkg; T1 imports pkg.sub; then that body comes to its own import of pkg.sub",
    tree={"pkg/__init__.py": "import pkg.sub\n", "pkg/sub.py": "VALUE = 1\n"},
    holds=let_in("T1", "T2", EXEC, "pkg"),
    variants=_outcomes_with(CHILD_AND_PARENT, PARENT_THEN_CHILD, main=("pkg", "pkg.sub")),
)

BARREL = Row(
    name="barrel",
    label="R2b",
    summary="pkg imports pkg.a and pkg.b in its body; T1 imports pkg.a and T2 imports pkg.b",
    tree={"pkg/__init__.py": "import pkg.a\nimport pkg.b\n", "pkg/a.py": "VALUE = 1\n", "pkg/b.py": "VALUE = 2\n"},
    holds=let_in("T2", "T1", EXEC, "pkg"),
    variants=_outcomes_with(SIBLINGS, PARENT_THEN_SIBLING, main=("pkg", "pkg.a", "pkg.b")),
)

FROM_PARENT = Row(
    name="from_parent",
    label="R1b",
    summary="pkg defines NAME, then takes a name from pkg.sub, which takes NAME from pkg",
    tree={
        "pkg/__init__.py": "NAME = 1\nfrom .sub import VALUE\n",
        "pkg/sub.py": "from pkg import NAME\n\nVALUE = NAME + 1\n",
    },
    holds=let_in("T1", "T2", EXEC, "pkg"),
    variants=_outcomes_with(CHILD_AND_PARENT, PARENT_THEN_CHILD, main=("pkg", "pkg.sub")),
)

BY_NAME = Row(
    name="by_name",
    label="R2c",
    summary="as cold_window, but the threads call importlib.import_module",
    tree=COLD_WINDOW.tree,
    holds=COLD_WINDOW.holds,
    variants=(
        Variant(HAZARD, CHILD_AND_PARENT, by_name=True),
        Variant(PREIMPORT, CHILD_AND_PARENT, by_name=True, main=("pkg", "pkg.sub")),
        Variant(PARENT_FIRST, PARENT_THEN_CHILD, by_name=True),
    ),
)

FROM_EACH_OTHER = Row(
    name="from_each_other",
    label="R3b",
    summary="a and b take names from each other before they define their own",
    tree={"a.py": "from b import B\n\nA = 1\n", "b.py": "from a import A\n\nB = 2\n"},
    holds=cross("a", "b", EXEC),
    variants=(
        Variant(HAZARD, A_AND_B),
        Variant(FIXED, A_AND_B, tree={"a.py": "A = 1\n\nfrom b import B\n", "b.py": "B = 2\n\nfrom a import A\n"}),
    ),
)

_BY_NAME = "from importlib import import_module\n\nOTHER = import_module({!r})\n"

IMPORT_MODULE = Row(
    name="import_module",
    label="R4",
    summary="pkg.a and pkg.b import each other by importlib.import_module",
    tree={"pkg/__init__.py": "", "pkg/a.py": _BY_NAME.format("pkg.b"), "pkg/b.py": _BY_NAME.format("pkg.a")},
    holds=cross("pkg.a", "pkg.b", EXEC),
    variants=_outcomes_with(SIBLINGS, PARENT_THEN_SIBLING, main=("pkg.a", "pkg.b")),
)

READ_LATER = {
    "a.py": "import b\nimport last\n\nVALUE = 1\n",
    "b.py": "import a\n\n\ndef read():\n    return a.VALUE\n",
    "last.py": "",
    "caller.py": "import b\n\nVALUE = b.read()\n",
}

LAZY_CYCLE = Row(
    name="lazy_cycle",
    label="R5",
    summary="a imports b before it defines VALUE; b imports a and reads a.VALUE only when called",
    tree=READ_LATER,
    holds=(
        *cross("a", "b", EXEC),
        Hold("T1", CREATE, "last", (ended("T2"), reached("T2", LOCK))),
    ),
    variants=(
        Variant(HAZARD, {"T1": ("a",), "T2": ("caller",)}),
        Variant(PREIMPORT, {"T1": ("a",), "T2": ("caller",)}, main=("a",)),
        Variant(ONE_AT_A_TIME, {"T1": ("a",), "T2": ("caller",)}, one_at_a_time=True),
    ),
)

_STARTS_THREAD = """\
import threading

THREAD = threading.Thread(target=__import__, args=(__name__,), name="body", daemon=True)
THREAD.start()
"""

JOINING_BODY = Row(
    name="joining_body",
    label="R7",
    summary="a module's body starts a thread that imports the same module, and joins it",
    tree={"starter.py": _STARTS_THREAD + "THREAD.join()\n"},
    holds=(),
    variants=(
        Variant(HAZARD, {"T1": ("starter",)}),
        Variant(FIXED, {"T1": ("starter",)}, tree={"starter.py": _STARTS_THREAD}),
    ),
)

JOINING_OTHER = Row(
    name="joining_other",
    label="R7b",
    summary="a module's body starts a thread that imports another module, and joins it",
    tree={"starter.py": _STARTS_THREAD.replace("__name__", '"other"') + "THREAD.join()\n", "other.py": ""},
    holds=(),
    variants=(Variant(HAZARD, {"T1": ("starter",)}),),
)
