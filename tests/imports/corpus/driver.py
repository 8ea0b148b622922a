"""Find out what two importing threads can do to each other, by trying: stop T1 at every event of its imports in turn.

A script for any interpreter from 3.9, standard library only. It knows nothing of predictions: T1's k-th event is a
number, and not a place that somebody thinks dangerous. Each schedule runs in a forked child: T1 comes to its k-th
event; T2 runs until it sleeps or ends; T1 goes on. A thread that has been woken lets the other run first, until that
sleeps or ends, so that what was handed out half made is used half made.

    python driver.py FOLDER '{"main": [], "pairs": [["a", "b"], ["a:function", "c"]], "most": 60, "lazy": "normal"}'
"""

from __future__ import annotations

import _frozen_importlib as bootstrap
import _imp
import importlib
import json
import operator
import os
import sys
import threading
import time
from threading import get_ident

POLL = 0.0002
STUCK_POLLS = 60
DEADLINE = 6.0
NAMES = vars(bootstrap)


class Schedule:
    """T1 stops at its event number ``stop`` (never, if that is None)."""

    def __init__(self, stop):
        self.stop = stop
        self.events = 0
        self.threads = {}
        self.ended = set()
        self.parked = set()
        self.errors = {}
        self.global_owner = None
        self.wants_global = set()
        self.begin = threading.Event()
        self.place = ""

    def install(self):
        self._wrap_locks()
        for name in ("_find_and_load", "_find_and_load_unlocked", "_lock_unlock_module"):
            NAMES[name] = self._noted(NAMES[name], name)
        sys.meta_path.insert(0, Finder(self))

    def _noted(self, original, kind):
        def noted(name, *rest, **named):
            self.event(f"{kind} {name}")
            result = original(name, *rest, **named)
            self.event(f"after {kind} {name}")
            return result

        return noted

    def _wrap_locks(self):
        acquire = NAMES["_ModuleLock"].acquire
        take, release = _imp.acquire_lock, _imp.release_lock
        depth = [0]

        def acquire_and_let_the_other_go_first(lock):
            contended = lock.owner not in (None, get_ident())
            result = acquire(lock)
            if contended:
                self.park()
            return result

        def acquire_lock():
            me = get_ident()
            if self.global_owner not in (None, me):
                self.wants_global.add(me)
            take()
            self.wants_global.discard(me)
            self.global_owner = me
            depth[0] += 1

        def release_lock():
            depth[0] -= 1
            if not depth[0]:
                self.global_owner = None
            release()

        NAMES["_ModuleLock"].acquire = acquire_and_let_the_other_go_first
        _imp.acquire_lock, _imp.release_lock = acquire_lock, release_lock

    def event(self, place):
        if self.threads.get("T1") != get_ident():
            return
        if self.events == self.stop:
            self.events += 1
            self.place = place
            self.begin.set()
            self.wait_while(lambda: not self.is_through("T2"))
        else:
            self.events += 1

    def park(self):
        me = get_ident()
        other = "T2" if self.threads.get("T1") == me else "T1"
        self.parked.add(me)
        self.wait_while(lambda: not self.is_through(other) and self.threads.get(other) not in self.parked)
        self.parked.discard(me)

    @staticmethod
    def wait_while(condition):
        limit = time.monotonic() + DEADLINE
        while condition() and time.monotonic() < limit:
            time.sleep(POLL)

    def is_through(self, name):
        return name in self.ended or (name in self.threads and self.is_asleep(self.threads[name]))

    def is_asleep(self, ident):
        if ident in self.wants_global and self.global_owner not in (None, ident):
            return True
        wanted = NAMES["_blocking_on"].get(ident)
        for lock in wanted if isinstance(wanted, list) else [wanted] if wanted else []:
            if lock.waiters and lock.owner not in (None, ident):
                return True
        return False

    def work(self, name, entry):
        self.threads[name] = get_ident()
        if name == "T2":
            self.begin.wait(DEADLINE)
        try:
            perform(entry)
        except BaseException as error:  # noqa: BLE001 -- any error of a module is the result
            self.errors[name] = f"{type(error).__name__}: {error}"
        self.ended.add(name)
        self.begin.set()

    def run(self, first, second):
        for name, entry in (("T2", second), ("T1", first)):
            threading.Thread(target=self.work, args=(name, entry), daemon=True).start()
        limit = time.monotonic() + DEADLINE
        stuck = 0
        while len(self.ended) < 2 and stuck < STUCK_POLLS and time.monotonic() < limit:
            time.sleep(POLL)
            asleep = [name for name in ("T1", "T2") if name not in self.ended and self.is_through(name)]
            stuck = stuck + 1 if asleep and len(asleep) == 2 - len(self.ended) else 0
        return {
            "events": self.events,
            "place": self.place,
            "outcome": outcome_of(self.errors, hangs=len(self.ended) < 2),
            "errors": self.errors,
        }


class Finder:
    """Finds as the others do, and makes events of finding, creating and executing a module."""

    def __init__(self, schedule):
        self.schedule = schedule

    def find_spec(self, name, path=None, target=None):
        self.schedule.event(f"find {name}")
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader, self.schedule)
                return spec
        return None


class Loader:
    def __init__(self, loader, schedule):
        self.loader, self.schedule = loader, schedule

    def create_module(self, spec):
        self.schedule.event(f"create {spec.name}")
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.schedule.event(f"exec {module.__name__}")
        self.loader.exec_module(module)
        self.schedule.event(f"executed {module.__name__}")

    def __getattr__(self, name):
        return getattr(self.loader, name)


def outcome_of(errors, *, hangs):
    if hangs:
        return "hang"
    if any(text.startswith("_DeadlockError") for text in errors.values()):
        return "error"
    return "partial" if errors else "ok"


def perform(entry):
    """Import ``module``, or import ``module`` and call its function, as in ``module:function``."""
    module, _, function = entry.partition(":")
    __import__(module)
    if function:
        operator.attrgetter(function)(sys.modules[module])()


def in_child(action):
    """Return what ``action`` returns in a forked child, or None if the child dies first."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        os.close(source)
        os.write(sink, json.dumps(action()).encode())
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    return json.loads(data) if data else None


def scheduled(first, second, stop):
    def action():
        schedule = Schedule(stop)
        schedule.install()
        return schedule.run(first, second)

    return in_child(action)


def alone(entries):
    """Return the error of importing the entries in sequence in one thread, an empty string without an error."""

    def action():
        try:
            for entry in entries:
                perform(entry)
        except BaseException as error:  # noqa: BLE001 -- as above
            return f"{type(error).__name__}: {error}"
        return ""

    return in_child(action)


def try_pair(first, second, most):
    """Try every stop, or ``most`` of them spread evenly and the first and last ones of all."""
    broken = alone([first, second]) or alone([second, first])
    if broken:
        return {"first": first, "second": second, "broken": broken}
    whole = scheduled(first, second, None)
    count = whole["events"]
    stops = range(count)
    if count > most:
        stops = sorted({round(number * (count - 1) / (most - 1)) for number in range(most)} | set(range(12)))
    seen, wrong = {}, []
    for stop in stops:
        met = scheduled(first, second, stop)
        seen[met["outcome"]] = seen.get(met["outcome"], 0) + 1
        if met["outcome"] != "ok":
            wrong.append([met["outcome"], met["place"], met["errors"]])
    return {"first": first, "second": second, "events": count, "seen": seen, "wrong": wrong, "broken": ""}


def main():
    folder, plan = sys.argv[1], json.loads(sys.argv[2])
    sys.path.insert(0, folder)
    sys.setrecursionlimit(plan.get("recursion", sys.getrecursionlimit()))
    importlib.invalidate_caches()
    if plan["lazy"] != "normal":
        sys.set_lazy_imports(plan["lazy"])
    for module in plan["main"]:
        __import__(module)
    result = os.dup(1)
    os.dup2(2, 1)
    seen = [try_pair(first, second, plan["most"]) for first, second in plan["pairs"]]
    os.write(result, json.dumps(seen).encode())


if __name__ == "__main__":
    main()
