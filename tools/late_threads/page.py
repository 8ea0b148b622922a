"""Write the page ``docs/late-threads.md`` from measurements. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render.table import markdown_table
from tools.late_threads.measure import How, When

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.late_threads.measure import Measured, Target

_CASES = {
    How.NEW: "`PyGILState_Ensure` in a thread that has not used Python before",
    How.KNOWN: "`PyEval_RestoreThread`, or the end of a `Py_BEGIN_ALLOW_THREADS` block",
    How.VIEW: "`PyThreadState_EnsureFromView` (PEP 788, from 3.15 on)",
}
_INTRODUCTION = """\
# Native threads that come too late

A C++ thread can ask for Python while another thread is in `Py_FinalizeEx`, or after it. What happens then depends on
the exact version. None of it is an error that the thread could handle, except with PEP 788.

The table is generated; its figures are measurements. Each run is a process of its own: a thread continues in the
destructor of an object in `__main__`, which the interpreter destroys during finalization, with the GIL released, or
after `Py_FinalizeEx` has returned. A thread that has not come back after {limit} s counts as blocked.

Measured {date} with the stock Pythons of one machine and with builds under ThreadSanitizer. To run it again and to
write this page:

    python -m {command}
"""
_AFTER = """\
- **unwound**: `pthread_exit` ends the thread from within the call. Destructors run without the GIL; a frame that
  catches everything, or is `noexcept`, ends the process instead. In a debug build of 3.13.5 the finalization that goes
  on then fails an assertion (`unbind_gilstate_tstate`).
- **blocked**: the call never returns. A thread that joins this one waits forever.
- **returned**: the thread runs during finalization, and uses modules and objects that are being destroyed.
- **crashed**: the process ends by a signal, because the runtime's memory is gone.
- **refused**: the call returns `NULL`, and the thread can go on without Python.

3.13.8 replaced unwinding by blocking ([gh-87135](https://github.com/python/cpython/issues/87135)).
[PEP 788](https://peps.python.org/pep-0788/) came with 3.15. The ranges of versions are in
[expected.toml](../tools/late_threads/expected.toml); the command fails where a measurement differs from them.

## What to do

**Join first.** A program that ends its threads before `Py_FinalizeEx` needs nothing else. Release the GIL while you
join:

```cpp
Py_BEGIN_ALLOW_THREADS
for (auto& thread : threads) {
    thread.join();
}
Py_END_ALLOW_THREADS
Py_FinalizeEx();
```

**Else ask first.** A thread that you cannot join, such as one of a library, needs permission that finalization
respects. `Py_IsFinalizing` does not give it: finalization can begin between the question and the call. With PEP 788 a
*guard* keeps finalization waiting, and a *view* answers `NULL` when it is too late.

## In C++: attach.hpp

`native/include/python_tsan/attach.hpp` does that on every version. It is header only, C++17, for CPython from 3.9 on,
and works with pybind11, nanobind and the bare C API.

```cpp
#include <python_tsan/attach.hpp>

python_tsan::InterpreterView view;            // where Python is attached; copies are cheap
std::thread([view] {
    const python_tsan::Attachment attached(view);
    if (!attached) {
        return;                               // Python is gone, or about to go
    }
    py::print("with the GIL");                // finalization waits for the end of this block
}).detach();
```

| class | is |
|---|---|
| `InterpreterView` | the name of an interpreter; keeps nothing alive, and may outlive it |
| `Attachment` | the GIL for one block, or nothing if it is too late; replaces `PyGILState_Ensure` |
| `InterpreterGuard` | a promise for longer: finalization waits for its end; an `Attachment` takes it or a view |

From 3.15 on these are PEP 788's types. Before, a function that is registered with `atexit` waits, with the GIL
released, until no guard is left, and refuses new ones from then on. Ctrl-C ends the wait. Differences before 3.15:

- Only the main interpreter has views; in a sub-interpreter the constructor throws `std::logic_error`.
- Functions that were registered with `atexit` before the view run after the wait, and then no thread attaches any more.
- Make the view before finalization begins: a view that is made in an `atexit` function is never closed.

Threads that attach in other ways are not waited for. A thread that keeps a guard and waits for the thread that
finalizes is a deadlock on every version.

`nox -s verify -- -k attachment` runs the scenarios: a thread that is refused during and after finalization, one that
finalization waits for, and a pair that shows that counting the threads hides no race between them.
"""


def render_page(measured: Sequence[Measured], *, date: str, command: str, limit: int) -> str:
    """Write the page: the table of outcomes, and what to do. ``limit`` is in seconds."""
    introduction = _INTRODUCTION.format(date=date, command=command, limit=limit)
    header = ["CPython", *(f"{how.value} thread, {when.value}" for how in How for when in When)]
    cases = [f"- *{how.value} thread*: {text}" for how, text in _CASES.items()]
    return "\n".join([introduction, *cases, "", *markdown_table(header, _lines(measured)), "", _AFTER])


def _lines(measured: Sequence[Measured]) -> Iterator[list[str]]:
    targets: dict[str, Target] = {each.target.name: each.target for each in measured}
    cells = {(each.target.name, each.how, each.when): str(each) for each in measured}
    for target in sorted(targets.values(), key=lambda one: one.order):
        yield [target.name, *(cells.get((target.name, how, when), "") for how in How for when in When)]
