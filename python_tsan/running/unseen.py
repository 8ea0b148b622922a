"""Say what a program did that the runtime cannot see: memory with two addresses, fences, coroutines, OpenMP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.running.audit import LIBPYTHON
from python_tsan.running.elf import read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.result.model import SharedObject
    from python_tsan.running.companion import ProcessMapping

ARCHER = "libarcher.so"
_OPENMP = re.compile(r"lib(?:gomp|i?omp5?)\.so")
_ANONYMOUS = "anonymous memory"


def unseen(mappings: Sequence[ProcessMapping], objects: Iterable[SharedObject]) -> Iterator[str]:
    """Yield whole sentences for a verdict. ``mappings`` are of all processes, ``objects`` what they loaded."""
    for name in _names(each for each in mappings if each.twice):
        yield (
            f"{name} was mapped at two addresses of one process: a race between an access at one and an access at the "
            "other was not seen."
        )
    processes: dict[tuple[int, int], set[int]] = {}
    for each in mappings:
        processes.setdefault((each.device, each.inode), set()).add(each.pid)
    shared = (each for each in mappings if each.forked or (each.inode and len(processes[each.device, each.inode]) > 1))
    for name in _names(shared):
        yield f"{name} was shared by several processes: a race between two of them was not seen."
    loaded = tuple(objects)
    for item in loaded:
        yield from _constructs(item)
    yield from _openmp(loaded)


def _names(mappings: Iterable[ProcessMapping]) -> Iterator[str]:
    return iter(dict.fromkeys(each.path or _ANONYMOUS for each in mappings))


def _openmp(objects: Sequence[SharedObject]) -> Iterator[str]:
    """Say that the order which OpenMP makes was not seen, if instrumented code uses it."""
    needed = {name for each in objects if each.instrumented for name in read_elf(Path(each.path)).needed}
    library = next((name for name in sorted(needed) if _OPENMP.match(name)), "")
    gnu = library.startswith("libgomp")
    if library and (gnu or not any(Path(each.path).name == ARCHER for each in objects)):
        yield (
            f"{library} orders the threads of parallel regions without a function that the runtime sees, so correct "
            f"code in them is reported as a race; {'compile with clang and ' if gnu else ''}install libomp-dev, whose "
            f"tool {ARCHER} reports that order."
        )


def _constructs(each: SharedObject) -> Iterator[str]:
    name = Path(each.path).name
    # What CPython orders by fences is known from its own checks, and the same in every run.
    if not each.instrumented or LIBPYTHON.match(name):
        return
    facts = read_elf(Path(each.path))
    if facts.fences:
        yield (
            f"{name} calls atomic_thread_fence, which the runtime does not see: what only a fence orders is reported "
            "as a race."
        )
    if facts.coroutines:
        yield (
            f"{name} has C++ coroutines: where one thread resumes what another suspended, a race may have been hidden "
            "by the order of this run."
        )
