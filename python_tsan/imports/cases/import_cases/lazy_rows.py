"""Define the rows of lazy imports (PEP 810), which need Python 3.15: the use of a name is the import."""

from __future__ import annotations

from .case import CREATE, EXEC, START, Hold, Row, Variant, blocked, ended, reached
from .further_locks import FORK_HOLDS, FORKER, LOCKED_BODY
from .module_locks import READ_LATER
from .schedules import FIXED, HAZARD, LOCK, PREIMPORT, cross, let_in

_USER = "lazy import {0}\nlazy import {1}\n\n\ndef one():\n    return {0}.VALUE\n\n\ndef two():\n    return {1}.VALUE\n"
_BOTH = {"T1": ("user:one",), "T2": ("user:two",)}
_ALONE = {"T1": ("user:one",)}
_READ_HOLDS = (*cross("a", "b", EXEC), Hold("T1", CREATE, "last", (ended("T2"), reached("T2", LOCK))))

LAZY_READ = Row(
    name="lazy_read",
    label="L1",
    summary="functions use lazy a and caller; a imports b before it defines VALUE, and caller reads a.VALUE by b",
    tree={**READ_LATER, "user.py": _USER.format("a", "caller")},
    holds=_READ_HOLDS,
    variants=(
        Variant(HAZARD, _BOTH, main=("user",)),
        Variant(PREIMPORT, _BOTH, main=("user", "a")),
        Variant(FIXED, _BOTH, main=("user",), tree={"a.py": "VALUE = 1\n\nimport b\nimport last\n"}),
    ),
)

_LAZILY = {
    path: text.replace("import b\n", "lazy import b\n\nb.__name__\n")
    .replace("import a\n", "lazy import a\n\na.__name__\n")
    .replace("import last\n", "lazy import last\n\nlast.__name__\n")
    for path, text in READ_LATER.items()
}

LAZY_IN_BODIES = Row(
    name="lazy_in_bodies",
    label="L2",
    summary="as lazy_read, and the imports of the bodies are lazy themselves: each body uses its names",
    tree={**_LAZILY, "user.py": _USER.format("a", "caller")},
    holds=_READ_HOLDS,
    variants=(
        Variant(HAZARD, _BOTH, main=("user",)),
        Variant(PREIMPORT, _BOTH, main=("user", "a")),
        Variant(FIXED, _BOTH, main=("user",), tree={"a.py": f"VALUE = 1\n\n{_LAZILY['a.py']}"}),
    ),
)

LAZY_FROM_EACH_OTHER = Row(
    name="lazy_from_each_other",
    label="L3",
    summary="functions use lazy a and b, which take names from each other before they define their own",
    tree={
        "a.py": "from b import OTHER\n\nVALUE = 1\n",
        "b.py": "from a import VALUE\n\nOTHER = 2\n",
        "user.py": _USER.format("a", "b").replace("b.VALUE", "b.OTHER"),
    },
    holds=cross("a", "b", EXEC),
    variants=(
        Variant(HAZARD, _BOTH, main=("user",)),
        Variant(
            FIXED,
            _BOTH,
            main=("user",),
            tree={"a.py": "VALUE = 1\n\nfrom b import OTHER\n", "b.py": "OTHER = 2\n\nfrom a import VALUE\n"},
        ),
    ),
)

_USES = "import shared\nlazy import service\n\n\ndef two():\n    return service.VALUE\n\n\ndef one():\n"

LAZY_USER_LOCK = Row(
    name="lazy_user_lock",
    label="L4",
    summary="T1 uses lazy service with a lock held, which the body of service takes",
    tree={
        **LOCKED_BODY,
        "user.py": f"{_USES}    with shared.LOCK:\n        return service.VALUE\n",
    },
    holds=let_in("T1", "T2", EXEC, "service"),
    variants=(
        Variant(HAZARD, _BOTH, main=("user",)),
        Variant(PREIMPORT, _BOTH, main=("user", "service")),
        Variant(
            FIXED,
            _BOTH,
            main=("user",),
            tree={"user.py": f"{_USES}    value = service.VALUE\n    with shared.LOCK:\n        return value\n"},
        ),
    ),
)

_JOINS = """\
import threading

import user

THREAD = threading.Thread(target=user.one, name="body", daemon=True)
THREAD.start()
"""

LAZY_JOINING_BODY = Row(
    name="lazy_joining_body",
    label="L5",
    summary="T1 uses lazy slow, whose body starts a thread that uses the same name, and joins it",
    tree={"user.py": _USER.format("slow", "slow"), "slow.py": f"{_JOINS}THREAD.join()\nVALUE = 1\n"},
    holds=(),
    variants=(
        Variant(HAZARD, _ALONE, main=("user",)),
        Variant(FIXED, _ALONE, main=("user",), tree={"slow.py": f"{_JOINS}VALUE = 1\n"}),
    ),
)

LAZY_FORK = Row(
    name="lazy_fork",
    label="L6",
    summary="T1 forks while T2 imports slow by the use of a lazy name; the child uses that name",
    tree={
        "forker.py": FORKER.replace("import slow", "slow.VALUE").replace(
            "import signal\n", "import signal\nlazy import slow\n"
        )
        + "\n\ndef use():\n    return slow.VALUE\n",
        "slow.py": "VALUE = 1\n",
    },
    holds=FORK_HOLDS,
    variants=(
        Variant(HAZARD, {"T1": ("forker:fork",), "T2": ("forker:use",)}, main=("forker",)),
        Variant(PREIMPORT, {"T1": ("forker:fork",), "T2": ("forker:use",)}, main=("forker", "slow")),
    ),
)

_SIGNALLED = """\
import signal

lazy import slow

MET = []


def handle(*_):
    try:
        slow.VALUE
    except ImportError as error:
        MET.append(error)


signal.signal(signal.SIGUSR1, handle)
slow.VALUE


def one():
    for error in MET:
        raise error
"""

_IGNORED = "import signal\n\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\nimport slow\n"

LAZY_SIGNAL = Row(
    name="lazy_signal",
    label="L7",
    summary="the main thread uses lazy slow; a signal comes in its body, and the handler uses the name; T1 reports it",
    tree={"user.py": _SIGNALLED, "slow.py": "import signal\n\nsignal.raise_signal(signal.SIGUSR1)\nVALUE = 1\n"},
    holds=(),
    variants=(
        Variant(HAZARD, _ALONE, main=("user",)),
        Variant(PREIMPORT, _ALONE, main=("first", "user"), tree={"first.py": _IGNORED}),
    ),
)

_FINALIZED = """\
lazy import slow

MET = []


class Last:
    def __del__(self):
        try:
            slow.VALUE
        except ImportError as error:
            MET.append(error)


def one():
    slow.VALUE
    for error in MET:
        raise error
"""

LAZY_FINALIZER = Row(
    name="lazy_finalizer",
    label="L8",
    summary="T1 uses lazy slow, whose body drops the last reference to an object, whose __del__ uses the name",
    tree={"user.py": _FINALIZED, "slow.py": "import user\n\nuser.Last()\nVALUE = 1\n"},
    holds=(),
    variants=(
        Variant(HAZARD, _ALONE, main=("user",)),
        Variant(FIXED, _ALONE, main=("user",), tree={"slow.py": "import user\n\nKEPT = user.Last()\nVALUE = 1\n"}),
    ),
)

LAZY_SAME_NAME = Row(
    name="lazy_same_name",
    label="L9",
    summary="T1 and T2 use the same lazy name at the same time: the second waits for the module's lock",
    tree={"user.py": _USER.format("slow", "slow"), "slow.py": "VALUE = 1\n"},
    holds=(
        Hold("T2", START, "", (reached("T1", EXEC, "slow"), ended("T1"))),
        Hold("T1", EXEC, "slow", (blocked("T2", "slow"), ended("T2"))),
    ),
    variants=(Variant(HAZARD, _BOTH, main=("user",)),),
)
