"""Hold the rows of the outcome table as data: the package, the schedule, the hazard and its cures.

What each Python version does with a row is left to the outcome table.
"""

from __future__ import annotations

from .model import CREATE, EXEC, START, Hold, Row, Variant, blocked, ended, reached

HAZARD, PREIMPORT, PARENT_FIRST, ONE_AT_A_TIME, MENDED = (
    "hazard",
    "preimport",
    "parent_first",
    "one_at_a_time",
    "mended",
)
LOCK = "lock"


def _let_in(waiting: str, owner: str, point: str, module: str) -> tuple[Hold, Hold]:
    """Start ``waiting`` when ``owner`` is at ``point`` of ``module``, and keep ``owner`` there until the other sleeps.

    A cure takes the conflict away, so the other thread may also end, or stop at the program's own lock.
    """
    return (
        Hold(waiting, START, "", (reached(owner, point, module), ended(owner))),
        Hold(owner, point, module, (blocked(waiting, module), ended(waiting), reached(waiting, LOCK))),
    )


def _cross(first: str, second: str, point: str) -> tuple[Hold, ...]:
    """Let T1 own ``first`` and T2 own ``second``, each at ``point``; T1 goes on and sleeps; T2 closes the cycle."""
    return (
        Hold("T2", START, "", (reached("T1", point, first), ended("T1"))),
        Hold("T1", point, first, (reached("T2", point, second), ended("T2"), reached("T2", LOCK))),
        Hold("T2", point, second, (blocked("T1", second), ended("T1"))),
    )


CHILD_AND_PARENT = {"T1": ("pkg.sub",), "T2": ("pkg",)}
PARENT_THEN_CHILD = {"T1": ("pkg", "pkg.sub"), "T2": ("pkg",)}
SIBLINGS = {"T1": ("pkg.a",), "T2": ("pkg.b",)}
PARENT_THEN_SIBLING = {"T1": ("pkg", "pkg.a"), "T2": ("pkg", "pkg.b")}
A_AND_B = {"T1": ("a",), "T2": ("b",)}

COLD_WINDOW = Row(
    name="cold_window",
    label="R2",
    summary="T1 owns the lock of pkg.sub and wants pkg; T2 owns pkg, not yet in sys.modules, whose body wants pkg.sub",
    tree={"pkg/__init__.py": "import pkg.sub\n", "pkg/sub.py": "VALUE = 1\n"},
    holds=_let_in("T1", "T2", CREATE, "pkg"),
    variants=(
        Variant(HAZARD, CHILD_AND_PARENT),
        Variant(PREIMPORT, CHILD_AND_PARENT, main=("pkg", "pkg.sub")),
        Variant(PARENT_FIRST, PARENT_THEN_CHILD),
        Variant(ONE_AT_A_TIME, CHILD_AND_PARENT, one_at_a_time=True),
    ),
)

WARM_WINDOW = Row(
    name="warm_window",
    label="R1",
    summary="T2 is inside the body of pkg; T1 imports pkg.sub; then that body comes to its own import of pkg.sub",
    tree={"pkg/__init__.py": "import pkg.sub\n", "pkg/sub.py": "VALUE = 1\n"},
    holds=_let_in("T1", "T2", EXEC, "pkg"),
    variants=(
        Variant(HAZARD, CHILD_AND_PARENT),
        Variant(PREIMPORT, CHILD_AND_PARENT, main=("pkg", "pkg.sub")),
        Variant(PARENT_FIRST, PARENT_THEN_CHILD),
        Variant(ONE_AT_A_TIME, CHILD_AND_PARENT, one_at_a_time=True),
    ),
)

BARREL = Row(
    name="barrel",
    label="R2b",
    summary="pkg imports pkg.a and pkg.b in its body; T1 imports pkg.a and T2 imports pkg.b",
    tree={"pkg/__init__.py": "import pkg.a\nimport pkg.b\n", "pkg/a.py": "VALUE = 1\n", "pkg/b.py": "VALUE = 2\n"},
    holds=_let_in("T2", "T1", EXEC, "pkg"),
    variants=(
        Variant(HAZARD, SIBLINGS),
        Variant(PREIMPORT, SIBLINGS, main=("pkg", "pkg.a", "pkg.b")),
        Variant(PARENT_FIRST, PARENT_THEN_SIBLING),
        Variant(ONE_AT_A_TIME, SIBLINGS, one_at_a_time=True),
    ),
)

FROM_PARENT = Row(
    name="from_parent",
    label="R1b",
    summary="pkg defines NAME, then takes a name from pkg.sub, which takes NAME from pkg",
    tree={
        "pkg/__init__.py": "NAME = 1\nfrom .sub import VALUE\n",
        "pkg/sub.py": "from pkg import NAME\n\nVALUE = NAME + 1\n",
    },
    holds=_let_in("T1", "T2", EXEC, "pkg"),
    variants=(
        Variant(HAZARD, CHILD_AND_PARENT),
        Variant(PREIMPORT, CHILD_AND_PARENT, main=("pkg", "pkg.sub")),
        Variant(PARENT_FIRST, PARENT_THEN_CHILD),
        Variant(ONE_AT_A_TIME, CHILD_AND_PARENT, one_at_a_time=True),
    ),
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
    holds=_cross("a", "b", EXEC),
    variants=(
        Variant(HAZARD, A_AND_B),
        Variant(MENDED, A_AND_B, tree={"a.py": "A = 1\n\nfrom b import B\n", "b.py": "B = 2\n\nfrom a import A\n"}),
    ),
)

_BY_NAME = "from importlib import import_module\n\nOTHER = import_module({!r})\n"

IMPORT_MODULE = Row(
    name="import_module",
    label="R4",
    summary="pkg.a and pkg.b import each other by importlib.import_module",
    tree={"pkg/__init__.py": "", "pkg/a.py": _BY_NAME.format("pkg.b"), "pkg/b.py": _BY_NAME.format("pkg.a")},
    holds=_cross("pkg.a", "pkg.b", EXEC),
    variants=(
        Variant(HAZARD, SIBLINGS),
        Variant(PREIMPORT, SIBLINGS, main=("pkg.a", "pkg.b")),
        Variant(PARENT_FIRST, PARENT_THEN_SIBLING),
        Variant(ONE_AT_A_TIME, SIBLINGS, one_at_a_time=True),
    ),
)

LAZY_CYCLE = Row(
    name="lazy_cycle",
    label="R5",
    summary="a imports b before it defines VALUE; b imports a and reads a.VALUE only when called",
    tree={
        "a.py": "import b\nimport last\n\nVALUE = 1\n",
        "b.py": "import a\n\n\ndef read():\n    return a.VALUE\n",
        "last.py": "",
        "caller.py": "import b\n\nVALUE = b.read()\n",
    },
    holds=(
        *_cross("a", "b", EXEC),
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
        Variant(MENDED, {"T1": ("starter",)}, tree={"starter.py": _STARTS_THREAD}),
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

USER_LOCK = Row(
    name="user_lock",
    label="R9",
    summary="the body of service takes a lock that T1 holds while it imports service",
    tree={
        "shared.py": "import threading\n\nLOCK = threading.Lock()\n",
        "service.py": "import shared\n\nwith shared.LOCK:\n    VALUE = 1\n",
        "client.py": "import shared\n\nwith shared.LOCK:\n    import service\n",
    },
    holds=_let_in("T1", "T2", EXEC, "service"),
    variants=(
        Variant(HAZARD, {"T1": ("client",), "T2": ("service",)}, main=("shared",)),
        Variant(PREIMPORT, {"T1": ("client",), "T2": ("service",)}, main=("service",)),
        Variant(
            MENDED,
            {"T1": ("client",), "T2": ("service",)},
            main=("shared",),
            tree={"client.py": "import shared\nimport service\n\nwith shared.LOCK:\n    VALUE = service.VALUE\n"},
        ),
    ),
)

LOCK_THEN_IMPORT = Row(
    name="lock_then_import",
    label="R9b",
    summary="T1 takes a lock and imports other with it; T2 imports service, whose body takes the same lock",
    tree={
        "shared.py": "import threading\n\nLOCK = threading.Lock()\n",
        "service.py": "import shared\n\nwith shared.LOCK:\n    VALUE = 1\n",
        "other.py": "",
        "caller.py": "import shared\n\n\ndef work():\n    with shared.LOCK:\n        import other\n",
    },
    holds=(
        Hold("T1", START, "", (reached("T2", EXEC, "service"), ended("T2"))),
        Hold("T2", EXEC, "service", (reached("T1", CREATE, "other"), reached("T1", LOCK), ended("T1"))),
    ),
    variants=(Variant(HAZARD, {"T1": ("caller:work",), "T2": ("service",)}, main=("shared", "caller")),),
)

_FORKER = """\
import os
import signal


def fork():
    child = os.fork()
    if child == 0:
        signal.alarm(45)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        import slow

        os._exit(0)
    os.waitpid(child, 0)
"""

FORK = Row(
    name="fork",
    label="R10",
    summary="T1 forks while T2 imports slow; the child imports slow",
    tree={"forker.py": _FORKER, "slow.py": "VALUE = 1\n"},
    holds=(
        Hold("T1", START, "", (reached("T2", EXEC, "slow"), ended("T2"))),
        Hold("T2", EXEC, "slow", (ended("T1"), reached("T1", LOCK))),
    ),
    variants=(
        Variant(HAZARD, {"T1": ("forker:fork",), "T2": ("slow",)}, main=("forker",)),
        Variant(PREIMPORT, {"T1": ("forker:fork",), "T2": ("slow",)}, main=("forker", "slow")),
    ),
)

FORK_OTHER = Row(
    name="fork_other",
    label="R10b",
    summary="as fork, but the child imports a module that no thread of its parent was importing",
    tree={"forker.py": _FORKER.replace("import slow", "import other"), "slow.py": "VALUE = 1\n", "other.py": ""},
    holds=FORK.holds,
    variants=(Variant(HAZARD, {"T1": ("forker:fork",), "T2": ("slow",)}, main=("forker",)),),
)

_IMPORTING_FINDER = """\
import sys


class ImportingFinder:
    def find_spec(self, name, path=None, target=None):
        if name == "wanted":
            import needed
        return None


sys.meta_path.insert(0, ImportingFinder())
"""

IMPORTING_FINDER = Row(
    name="importing_finder",
    label="R11",
    summary="a finder, called with the global import lock held, imports needed; the body of needed imports extra",
    tree={"finders.py": _IMPORTING_FINDER, "wanted.py": "", "needed.py": "import extra\n", "extra.py": ""},
    holds=_let_in("T1", "T2", EXEC, "needed"),
    variants=(
        Variant(HAZARD, {"T1": ("wanted",), "T2": ("needed",)}, main=("finders",)),
        Variant(PREIMPORT, {"T1": ("wanted",), "T2": ("needed",)}, main=("finders", "needed")),
    ),
)

_CROSSING_LOADERS = """\
import importlib
import importlib.machinery
import sys

OTHER = {"a": "b", "b": "a"}
BEGUN = set()


class CrossingLoader(importlib.machinery.SourceFileLoader):
    def create_module(self, spec):
        if spec.name not in BEGUN:
            BEGUN.add(spec.name)
            importlib.import_module(OTHER[spec.name])


class CrossingFinder:
    def find_spec(self, name, path=None, target=None):
        if name not in OTHER:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        spec.loader = CrossingLoader(name, spec.origin)
        return spec


sys.meta_path.insert(0, CrossingFinder())
"""

CREATE_CYCLE = Row(
    name="create_cycle",
    label="R11b",
    summary="a and b import each other while they are created, before either is in sys.modules, as PyInit_* would",
    tree={"loaders.py": _CROSSING_LOADERS, "a.py": "", "b.py": ""},
    holds=_cross("a", "b", CREATE),
    variants=(
        Variant(HAZARD, A_AND_B, main=("loaders",)),
        Variant(PREIMPORT, A_AND_B, main=("loaders", "a", "b")),
    ),
)

ROWS = (
    COLD_WINDOW,
    WARM_WINDOW,
    BARREL,
    FROM_PARENT,
    BY_NAME,
    FROM_EACH_OTHER,
    IMPORT_MODULE,
    LAZY_CYCLE,
    JOINING_BODY,
    JOINING_OTHER,
    USER_LOCK,
    LOCK_THEN_IMPORT,
    FORK,
    FORK_OTHER,
    IMPORTING_FINDER,
    CREATE_CYCLE,
)


def row(name: str) -> Row:
    """Return the row of that name. Raises ``LookupError`` with the names that exist."""
    for each in ROWS:
        if each.name == name:
            return each
    raise LookupError(f"no row {name!r}; there are {[each.name for each in ROWS]}")
