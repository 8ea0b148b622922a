"""Own what becomes of a module that is handed out half made: is what is taken or read of it there? Pure, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from python_tsan.imports.model.bindings import bound_before
from python_tsan.imports.model.reads import read_attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.imports.model.import_system import ImportSystem
    from python_tsan.imports.model.requests import ImportRequest
    from python_tsan.imports.model.steps import Handout


Reader = Callable[[str], "str | None"]


def breaks(machine: ImportSystem, handout: Handout, read: Reader) -> bool:
    """Tell whether what is taken or read from the half-made module is missing at the line where it stands."""
    outer = [read(machine.program[name].file) or "" for name, _ in handout.stack[:-1]]
    return _is_missing(machine, handout, read, outer)


def hinges_on_callers(machine: ImportSystem, handout: Handout, read: Reader) -> bool:
    """Tell whether ``breaks`` depends on which functions are called by the bodies that wait for the asking one."""
    return _is_missing(machine, handout, read, ()) != _is_missing(machine, handout, read, None)


def _is_missing(machine: ImportSystem, handout: Handout, read: Reader, outer: Sequence[str] | None) -> bool:
    module, request = machine.program[handout.module], handout.request
    line = standing_at(machine, handout.owner, handout.module)
    source = read(module.file) if line else None
    bound = bound_before(source, line) if source is not None else None
    if request is None or bound is None:
        return False
    takes_names = request.module == module.name and request.names
    wanted = request.names if takes_names else _read_from(machine, handout, request, read, outer)
    return any(name not in bound and f"{module.name}.{name}" not in machine.program for name in wanted)


def _read_from(
    machine: ImportSystem, handout: Handout, request: ImportRequest, read: Reader, outer: Sequence[str] | None
) -> frozenset[str]:
    """Return the attributes that the bodies of the asking thread read of the module as a whole."""
    asker = machine.program[handout.stack[-1][0]] if handout.stack else None
    if asker is None or asker.file != request.file:
        return frozenset()
    package = asker.name if asker.file.endswith("__init__.py") else asker.parent
    return read_attributes(read(asker.file) or "", outer, handout.module, package, request.line)


def standing_at(machine: ImportSystem, thread: str, module: str) -> int:
    """Return the line of a module's body at which ``thread``, which executes it, stands; 0 if it is not known."""
    stack = machine.stacks[thread]
    names = [name for name, _ in stack]
    if module not in names:
        return 0
    after = names.index(module) + 1
    request = stack[after][1] if after < len(stack) else machine.asking.get(thread)
    return request.line if request else 0
