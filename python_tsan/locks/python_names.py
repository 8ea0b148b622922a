"""Call a lock of Python code by the expression that takes it, as its source line has it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_tsan.result.finding import PythonFrame

# Classes of the standard library that take a lock for their caller: Condition, Event, Queue, Future.
_SERVING = re.compile(r"[/\\](?:threading|queue|concurrent[/\\]futures[/\\]\w+)\.py$")
_PATH = r"[A-Za-z_][\w.]*(?:\[[^\]]*\])*"
# `with self._lock:`, `self._lock.acquire(timeout=1)`, `self._queue.put(item)`
_WITH = re.compile(rf"^\s*(?:async\s+)?with\s+({_PATH})\s*(?:\.acquire\(.*\)\s*)?(?:as\s+\w+\s*)?:")
_CALL = re.compile(
    rf"({_PATH})\.(?:acquire|acquire_lock|__enter__|wait|wait_for|put|get|set|notify|notify_all|result)\("
)


def python_lock_name(frames: Sequence[PythonFrame], line: Callable[[str, int], str]) -> str:
    """Return ``Service._lock`` for ``with self._lock:`` in a method of Service; empty where the line does not show it.

    ``line`` returns the text of a line of a file. A lock inside of a Condition or a Queue has the name of that object.
    """
    frame = next((each for each in frames if not _SERVING.search(each.file)), None)
    if frame is None:
        return ""
    text = line(frame.file, frame.line)
    found = _WITH.match(text) or _CALL.search(text)
    if not found:
        return ""
    first, dot, rest = found[1].partition(".")
    owner = frame.function.replace(".<locals>", "").rpartition(".")[0].rpartition(".")[2]
    return f"{owner}.{rest}" if dot and first in {"self", "cls"} and owner else found[1]
