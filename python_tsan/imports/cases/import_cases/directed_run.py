"""Drive two threads into one interleaving: T1 stops inside a module, T2 runs until it blocks, T1 goes on."""

from __future__ import annotations

import _frozen_importlib as bootstrap
import importlib
import sys
import threading
import time
from threading import get_ident
from typing import TYPE_CHECKING

from .case import ASK, FIND, START, Hold, blocked, ended, reached
from .lazy_names import set_mode
from .scheduler import Scheduler
from .wait_graph import all_frames, is_own, on_deadlock, own_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

JOIN_SECONDS = 0.005


def confirm(plan: dict[str, Any]) -> dict[str, Any]:
    """Run one plan and return what the threads met.

    ``first`` and ``second`` are the requests that T1 and T2 make in turn, ``main`` what comes before, ``point`` and
    ``module`` where T1 stops, ``deadline`` the seconds for which a thread that nobody holds must have used no processor
    to be taken for hung.
    """
    holds = (
        Hold("T1", plan["point"], plan["module"], (blocked("T2"), ended("T2"))),
        Hold("T2", START, "", (reached("T1", plan["point"], plan["module"]), ended("T1"))),
    )
    set_mode(plan["lazy"])
    for module in plan["main"]:
        __import__(module)
    scheduler = Scheduler(holds, frozenset({plan["module"]}))
    scheduler.install()
    if plan["point"] == ASK:
        sys.addaudithook(lambda event, given: _on_audit(scheduler, plan["module"], event, given))
    if plan["point"] == FIND:
        _hold_before_finding(scheduler)
    closings = _Closings(scheduler, ("T1", "T2"))
    on_deadlock(closings.note)
    errors: dict[str, dict[str, str] | None] = {}
    entries = {"T1": plan["first"], "T2": plan["second"]}
    threads = {
        name: threading.Thread(target=_import, args=(scheduler, name, entry, errors), name=name, daemon=True)
        for name, entry in entries.items()
    }
    for thread in threads.values():
        thread.start()
    limit, spent = time.monotonic() + plan["deadline"], [0.0]
    while len(errors) < len(entries) and time.monotonic() < limit:
        time.sleep(JOIN_SECONDS)
        free = [thread for name, thread in threads.items() if name not in errors and name not in scheduler.held()]
        now = [_processor_seconds(thread) for thread in free]
        if now != spent:  # on a busy machine a large package takes longer than a hang may
            spent, limit = now, time.monotonic() + plan["deadline"]
    return {
        "reached": scheduler.has_reached("T1", plan["point"], plan["module"]),
        "unfinished": [thread for thread in entries if thread not in errors],
        "held": scheduler.held(),
        "errors": {thread: error for thread, error in errors.items() if error},
        **closings.record([thread for thread, error in errors.items() if error]),
    }


class _Closings:
    """The cycles that were closed: who waited for whom, and every stack. One for each process.

    Afterwards it is too late: the error ends the one thread, and the other goes on.
    """

    def __init__(self, scheduler: Scheduler, threads: tuple[str, ...]) -> None:
        self._scheduler = scheduler
        self._threads = threads
        self._seen: list[dict[str, Any]] = []

    def note(self) -> None:
        """Note how the threads stand when the calling one closes a cycle."""
        thread = self._scheduler.name_of(get_ident())
        if thread in self._threads:
            self._seen.append(self._now(thread))

    def record(self, losers: list[str]) -> dict[str, Any]:
        """Return the last cycle that one of ``losers`` closed, else the last one, else how the threads stand now."""
        theirs = [each for each in self._seen if each["thread"] in losers]
        return next(iter((theirs or self._seen)[::-1]), None) or self._now("")

    def _now(self, thread: str) -> dict[str, Any]:
        """Return the wait-for graph and the stacks, innermost frame last; ``thread`` is the one that closes."""
        stacks = {self._scheduler.name_of(ident): list(_frames(top))[::-1] for ident, top in all_frames().items()}
        return {
            "thread": thread,
            "graph": [edge for edge in self._scheduler.wait_for_graph() if edge["thread"] in self._threads],
            "stacks": [{"thread": name, "frames": stacks[name]} for name in self._threads if name in stacks],
        }


def _frames(top: FrameType) -> Iterator[dict[str, Any]]:
    """Yield the frames that are the program's own, innermost first."""
    for frame in own_frames(top):
        code = frame.f_code
        if code.co_filename != threading.__file__:
            yield {"file": code.co_filename, "line": frame.f_lineno, "function": code.co_name}


def _processor_seconds(thread: threading.Thread) -> float:
    """Return how long a thread has been on a processor, 0 when it is gone."""
    if thread.ident is None:
        return 0.0
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    except OSError:
        return 0.0


def _on_audit(scheduler: Scheduler, module: str, event: str, given: tuple[object, ...]) -> None:
    # The event comes between the look into sys.modules and the module's lock.
    if event == "import" and given[0] == module:
        scheduler.pass_point(ASK, module)


def _hold_before_finding(scheduler: Scheduler) -> None:
    """Pass the point before the finders are asked. In a finder the thread would hold the global import lock already."""
    names = vars(bootstrap)
    find_spec = names["_find_spec"]

    def passed(name: str, *given: Any) -> Any:  # noqa: ANN401 -- what the original takes and returns
        scheduler.pass_point(FIND, name)
        return find_spec(name, *given)

    names["_find_spec"] = passed


def _import(
    scheduler: Scheduler, thread: str, steps: list[dict[str, Any]], errors: dict[str, dict[str, str] | None]
) -> None:
    scheduler.enter(thread)
    error: dict[str, str] | None = None
    try:
        for step in steps:
            if step["lazy"]:
                _use(*step["lazy"])
            elif step["manner"] == "by_name":
                importlib.import_module(step["module"])
            else:
                __import__(step["module"], fromlist=step["names"])
    except BaseException as caught:  # noqa: BLE001 -- a module may raise anything, and that is the result
        error = {"type": type(caught).__name__, "text": str(caught), "where": _where(caught)}
    errors[thread] = error
    scheduler.leave(thread)


def _use(owner: str, name: str) -> None:
    """Use a lazy name as a function of its module does: the attribute resolves it and puts the object in its place."""
    if owner not in sys.modules:
        __import__(owner)
    getattr(sys.modules[owner], name)


def _where(error: BaseException) -> str:
    """Return the innermost line of the program's own, which is the import statement that failed."""
    place = ""
    step = error.__traceback__
    while step is not None:
        if is_own(step.tb_frame):
            place = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    return place
