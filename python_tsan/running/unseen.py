"""Say what a program did that the runtime cannot see: memory with two addresses, fences, coroutines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.running.audit import LIBPYTHON
from python_tsan.running.elf import read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.result.model import SharedObject
    from python_tsan.running.companion import ProcessMapping

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
    for loaded in objects:
        yield from _constructs(loaded)


def _names(mappings: Iterable[ProcessMapping]) -> Iterator[str]:
    return iter(dict.fromkeys(each.path or _ANONYMOUS for each in mappings))


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
