"""Define the rows with more than module locks: a lock of the program, a fork, a finder, a loader."""

from __future__ import annotations

from .case import CREATE, EXEC, START, Hold, Row, Variant, ended, reached
from .module_locks import A_AND_B
from .schedules import FIXED, HAZARD, LOCK, PREIMPORT, cross, let_in

LOCKED_BODY = {
    "shared.py": "import threading\n\nLOCK = threading.Lock()\n",
    "service.py": "import shared\n\nwith shared.LOCK:\n    VALUE = 1\n",
}

USER_LOCK = Row(
    name="user_lock",
    label="R9",
    summary="the body of service takes a lock that T1 holds while it imports service",
    tree={
        **LOCKED_BODY,
        "client.py": "import shared\n\nwith shared.LOCK:\n    import service\n",
    },
    holds=let_in("T1", "T2", EXEC, "service"),
    variants=(
        Variant(HAZARD, {"T1": ("client",), "T2": ("service",)}, main=("shared",)),
        Variant(PREIMPORT, {"T1": ("client",), "T2": ("service",)}, main=("service",)),
        Variant(
            FIXED,
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
        **LOCKED_BODY,
        "other.py": "",
        "caller.py": "import shared\n\n\ndef work():\n    with shared.LOCK:\n        import other\n",
    },
    holds=(
        Hold("T1", START, "", (reached("T2", EXEC, "service"), ended("T2"))),
        Hold("T2", EXEC, "service", (reached("T1", CREATE, "other"), reached("T1", LOCK), ended("T1"))),
    ),
    variants=(Variant(HAZARD, {"T1": ("caller:work",), "T2": ("service",)}, main=("shared", "caller")),),
)

# The alarm is for a child whose parent was killed. It comes later than any deadline: those scale to 10 minutes.
FORKER = """\
import os
import signal


def fork():
    child = os.fork()
    if child == 0:
        signal.alarm(1800)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        import slow

        os._exit(0)
    os.waitpid(child, 0)
"""

FORK_HOLDS = (
    Hold("T1", START, "", (reached("T2", EXEC, "slow"), ended("T2"))),
    Hold("T2", EXEC, "slow", (ended("T1"), reached("T1", LOCK))),
)

FORK = Row(
    name="fork",
    label="R10",
    summary="T1 forks while T2 imports slow; the child imports slow",
    tree={"forker.py": FORKER, "slow.py": "VALUE = 1\n"},
    holds=FORK_HOLDS,
    variants=(
        Variant(HAZARD, {"T1": ("forker:fork",), "T2": ("slow",)}, main=("forker",)),
        Variant(PREIMPORT, {"T1": ("forker:fork",), "T2": ("slow",)}, main=("forker", "slow")),
    ),
)

FORK_OTHER = Row(
    name="fork_other",
    label="R10b",
    summary="as fork, but the child imports a module that no thread of its parent was importing",
    tree={"forker.py": FORKER.replace("import slow", "import other"), "slow.py": "VALUE = 1\n", "other.py": ""},
    holds=FORK_HOLDS,
    variants=(Variant(HAZARD, {"T1": ("forker:fork",), "T2": ("slow",)}, main=("forker",)),),
)

_IMPORTING_FINDER = """\
import sys


class ImportingFinder:
    def find_spec(self, name, path=None, target=None):
        if name == "outer":
            import needed
        return None


sys.meta_path.insert(0, ImportingFinder())
"""

IMPORTING_FINDER = Row(
    name="importing_finder",
    label="R11",
    summary="a finder, called with the global import lock held, imports needed; the body of needed imports extra",
    tree={"finders.py": _IMPORTING_FINDER, "outer.py": "", "needed.py": "import extra\n", "extra.py": ""},
    holds=let_in("T1", "T2", EXEC, "needed"),
    variants=(
        Variant(HAZARD, {"T1": ("outer",), "T2": ("needed",)}, main=("finders",)),
        Variant(PREIMPORT, {"T1": ("outer",), "T2": ("needed",)}, main=("finders", "needed")),
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
    holds=cross("a", "b", CREATE),
    variants=(
        Variant(HAZARD, A_AND_B, main=("loaders",)),
        Variant(PREIMPORT, A_AND_B, main=("loaders", "a", "b")),
    ),
)
