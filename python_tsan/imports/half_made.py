"""Own what becomes of a module that is handed out half made: is what is taken or read of it there? Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.imports.bindings import bound_before
from python_tsan.imports.reads import read_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from python_tsan.imports.machine import Machine
    from python_tsan.imports.requests import Request
    from python_tsan.imports.steps import Handout


def breaks(machine: Machine, handout: Handout, read: Callable[[str], str | None]) -> bool:
    """Tell whether what is taken or read from the half-made module is missing at the line where it stands."""
    module = machine.program[handout.module]
    line = standing_at(machine, handout.owner, handout.module)
    source = read(module.file) if line else None
    bound = bound_before(source, line) if source is not None else None
    if handout.request is None or bound is None:
        return False
    if takes_names(handout):
        wanted: Iterable[str] = handout.request.names
    else:
        wanted = _read_from(machine, handout, handout.request, read)
    return any(name not in bound and f"{module.name}.{name}" not in machine.program for name in wanted)


def takes_names(handout: Handout) -> bool:
    """Tell whether names are taken from the module at once, so that nothing else in any body matters."""
    request = handout.request
    return request is not None and request.module == handout.module and bool(request.names)


def _read_from(
    machine: Machine, handout: Handout, request: Request, read: Callable[[str], str | None]
) -> frozenset[str]:
    """Return the attributes that the bodies of the asking thread read of the module as a whole."""
    bodies = [machine.program[name] for name, _ in handout.stack]
    sources = [read(body.file) or "" for body in bodies]
    if not bodies or bodies[-1].file != request.file:
        return frozenset()
    asker = bodies[-1]
    package = asker.name if asker.file.endswith("__init__.py") else asker.parent
    return read_attributes(sources[-1], sources[:-1], handout.module, package, request.line)


def standing_at(machine: Machine, thread: str, module: str) -> int:
    """Return the line of a module's body at which ``thread``, which executes it, stands; 0 if it is not known."""
    stack = machine.stacks[thread]
    names = [name for name, _ in stack]
    if module not in names:
        return 0
    after = names.index(module) + 1
    request = stack[after][1] if after < len(stack) else machine.asking.get(thread)
    return request.line if request else 0
