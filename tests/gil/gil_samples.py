"""Small traces, written out."""

from python_tsan.gil.trace import Event, GilCall, Node, Process, ProcessRecord, Thread, Trace, Untraced
from python_tsan.symbols import CFunction, Site

BOOTSTRAP = "<frozen importlib._bootstrap>"
EXTERNAL = "<frozen importlib._bootstrap_external>"
MS = 1_000_000


def frame(function, *, file=EXTERNAL, body="", imports="", parent=0):
    return Node(parent, file, function, 1, body, imports)


def record(**changes):
    values = {
        "pid": 10,
        "parent": 9,
        "executable": "/bin/python",
        "python": "3.13.5",
        "free_threaded": False,
        "sees_internal": True,
        "started": 0,
        "started_unix": 0,
        "threads": (Thread(ordinal=0, tid=10, name="python"), Thread(ordinal=1, tid=11, name="worker")),
    }
    return ProcessRecord(**{**values, **changes})


NODES = (
    Node(0, "", "", 0, "", ""),
    Node(0, "main.py", "<module>", 3, "__main__", ""),
    Node(1, BOOTSTRAP, "_find_and_load", 1176, "", "alpha"),
    Node(2, EXTERNAL, "_path_stat", 147, "", ""),
    Node(2, EXTERNAL, "FileLoader.get_data", 1073, "", ""),
)
SITES = (
    Site(library="", offset=0),
    Site(library="/lib/libpython.so", offset=0x100, functions=(CFunction("posix_do_stat", "./posixmodule.c", 25),)),
    Site(
        library="/lib/libpython.so",
        offset=0x200,
        functions=(CFunction("_Py_read_impl", "./fileutils.c", 7), CFunction("_Py_read")),
    ),
    Site(library="/lib/libpython.so", offset=0x300),
)
# The main thread releases the GIL three times: no other thread runs, then the worker does, and at last the thread ends.
EVENTS = (
    Event(1 * MS, 2 * MS, 2 * MS + 500, 1, 3, 0, GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE),
    Event(4 * MS, 5 * MS, 9 * MS, 2, 4, 0, GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE),
    Event(0, 4 * MS, 4 * MS + 100, 0, 0, 1, GilCall.NONE, GilCall.ACQUIRE_RELEASE),
    Event(8 * MS, 0, 0, 3, 0, 1, GilCall.INTERNAL, GilCall.NONE),
    Event(10 * MS, 0, 0, 3, 1, 0, GilCall.SAVE_RESTORE, GilCall.NONE),
)


def process(**changes):
    return Process(**{"record": record(), "sites": SITES, "nodes": NODES, "events": EVENTS, **changes})


def trace(**changes):
    values = {
        "engine": "preload",
        "command": ("python", "main.py"),
        "exit_code": 3,
        "started_at": "2026-01-01T00:00:00+00:00",
        "processes": (process(), process(record=record(pid=20), events=EVENTS[:1])),
        "untraced": (Untraced(pid=30, reason="it is old", program="/bin/old"),),
    }
    return Trace(**{**values, **changes})
