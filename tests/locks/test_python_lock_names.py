"""A lock of Python code is called by the expression that takes it."""

import pytest

from python_tsan.locks.python_names import python_lock_name
from python_tsan.result.finding import PythonFrame

FILE = "/app/service.py"


def name(text, function="Service.log", *, inner=()):
    frames = (*inner, PythonFrame(function=function, file=FILE, line=7))
    return python_lock_name(frames, lambda file, line: text if (file, line) == (FILE, 7) else "no such line")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("        with self._lock:\n", "Service._lock"),
        ("    with lock: native.lock()", "lock"),
        ("    with self.table.lock as held:", "Service.table.lock"),
        ("    async with cls.lock:", "Service.lock"),
        ("    with locks[key]:", "locks[key]"),
        ("    with module.lock:", "module.lock"),
        ("    if self._lock.acquire(timeout=1):", "Service._lock"),
        ("    with first, second:", ""),
        ("    with open(path) as file:", ""),
        ("    work()", ""),
        ("", ""),
    ],
)
def test_the_expression_is_the_name(text, expected):
    assert name(text) == expected


def test_a_function_in_a_method_belongs_to_its_class():
    assert name("with self.lock:", function="Service.start.<locals>.run") == "start.lock"
    assert name("with self.lock:", function="run") == "self.lock"


def test_a_lock_inside_of_a_condition_or_a_queue_has_the_name_of_that_object():
    inner = (
        PythonFrame(function="Condition.__enter__", file="/usr/lib/python3.13/threading.py", line=1),
        PythonFrame(function="Queue.put", file="/usr/lib/python3.13/queue.py", line=2),
    )
    assert name("        self.tasks.put(item)", inner=inner) == "Service.tasks"
    assert python_lock_name(inner, lambda *_: "with self.lock:") == ""


def test_without_frames_there_is_no_name():
    assert python_lock_name((), lambda *_: "with lock:") == ""
