"""Judge partially initialized modules that are handed out: is what is taken or read of them there? Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.imports.model.import_system import ImportSystem
    from python_tsan.imports.model.requests import ImportRequest
    from python_tsan.imports.model.source import Body, Sources
    from python_tsan.imports.model.steps import Handout


def breaks(machine: ImportSystem, handout: Handout, sources: Sources) -> bool:
    """Return whether what is taken or read from the partial module is missing at the line that its body has reached."""
    outer = sources.bodies(machine.program[name].file for name, _ in handout.stack[:-1])
    return _is_missing(machine, handout, sources, [body for body in outer if body])


def hinges_on_callers(machine: ImportSystem, handout: Handout, sources: Sources) -> bool:
    """Return whether ``breaks`` depends on which functions the bodies call that wait for the requesting one."""
    return _is_missing(machine, handout, sources, ()) != _is_missing(machine, handout, sources, None)


def _is_missing(machine: ImportSystem, handout: Handout, sources: Sources, outer: Sequence[Body] | None) -> bool:
    module, request = machine.program[handout.module], handout.request
    line = standing_at(machine, handout.owner, handout.module)
    body = sources.bodies([module.file])[0] if line else None
    bound = body.bound_before(line) if body else None
    if request is None or bound is None:
        return False
    takes_names = request.module == module.name and request.names
    needed = request.names if takes_names else _read_from(machine, handout, request, sources, outer)
    return any(name not in bound and f"{module.name}.{name}" not in machine.program for name in needed)


def _read_from(
    machine: ImportSystem,
    handout: Handout,
    request: ImportRequest,
    sources: Sources,
    outer: Sequence[Body] | None,
) -> Sequence[str] | frozenset[str]:
    """Return the attributes that the bodies of the requesting thread read of the module as a whole."""
    requester = machine.program[handout.stack[-1][0]] if handout.stack else None
    if requester is not None and requester.file != request.file and request.lazy:
        # The body has called a function of another module, which is the one that uses the name.
        requester, outer = next((each for each in machine.program.values() if each.file == request.file), None), None
    if requester is None or requester.file != request.file:
        return frozenset()
    body = sources.bodies([requester.file])[0]
    if body is None:
        return frozenset()
    package = requester.name if requester.file.endswith("__init__.py") else requester.parent
    # What a use of a lazy name reads of the module stands in the same line.
    line = request.line - 1 if request.lazy else request.line
    awaited = machine.awaited_attributes(handout.module)
    return body.read_of(handout.module, package=package, line=line, outer=outer, awaited=awaited)


def standing_at(machine: ImportSystem, thread: str, module: str) -> int:
    """Return the line of a module's body at which ``thread``, which executes it, stands; 0 if it is not known."""
    stack = machine.stacks[thread]
    names = [name for name, _ in stack]
    if module not in names:
        return 0
    after = names.index(module) + 1
    request = stack[after][1] if after < len(stack) else machine.asking.get(thread)
    return (request.body_line or request.line) if request else 0
