"""Choose the advice that fits the program: no Python for a Go log, no goroutine for C++."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from python_tsan.render.explain import kind_text, lock_advice
from python_tsan.render.names import GIL
from python_tsan.tsan.finding import Dialect, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result
    from python_tsan.tsan.finding import Frame

# pybind11::gil_scoped_acquire, nb_func_vectorcall, PyObject_Call, _PyEval_EvalFrameDefault, libpython3.13.so.1.0
_PYTHON = re.compile(r"\b(?:pybind11|nanobind)::|\b_?Py[A-Z]\w*_|\b_Py_|\bPy_[A-Z]|\blibpython")
# main.omp_outlined, GOMP_parallel, __kmp_invoke_microtask, main._omp_fn.0
_OPENMP = re.compile(r"\bomp_outlined\b|\b_?omp_fn\b|\bGOMP_|\bgomp_|\b__kmp|\blib[gi]?omp")
# Kinds of locks: to hold one is to have an attached thread state; to hold one is to import.
_ATTACHMENTS = frozenset({GIL, "attached thread state"})
_IMPORTS = frozenset({"module lock", "import lock"})


class Program(Enum):
    """What a program is made of, as far as the advice differs."""

    OPENMP = "OpenMP"
    PYTHON = "Python"


def program_of(result: Result) -> frozenset[Program]:
    """Return what the stacks of ``result``, or the objects that its program loaded, show."""
    found = set()
    names = [f"{frame.symbol} {frame.module}" for finding in result.findings for frame in _frames(finding)]
    names += [each.path for each in result.audit or ()]
    if any(finding.python_stack for finding in result.findings) or any(map(_PYTHON.search, names)):
        found.add(Program.PYTHON)
    if any(map(_OPENMP.search, names)):
        found.add(Program.OPENMP)
    return frozenset(found)


def advice(finding: DistinctFinding, program: frozenset[Program]) -> str:
    """Return how to fix ``finding`` in such a program."""
    text = kind_text(finding.kind)
    if finding.kind is Kind.POSSIBLE_DEADLOCK:
        return " ".join(dict.fromkeys(filter(None, map(lock_advice, _kinds_of_locks(finding))))) or text.fix
    if finding.dialect is Dialect.GO:
        return text.fix_go or text.fix
    parts = [text.fix]
    parts += [text.fix_python] if Program.PYTHON in program else []
    parts += [text.fix_openmp] if Program.OPENMP in program else []
    return " ".join(filter(None, parts))


def _kinds_of_locks(finding: DistinctFinding) -> list[str]:
    """Return the kinds of a cycle's locks that the advice is about: the GIL only where there is no other.

    Most advice is how to release the GIL. In a cycle without it, only that about imports is of use.
    """
    kinds = [mutex.kind for mutex in finding.mutexes if mutex.kind]
    if not _ATTACHMENTS.intersection(kinds):
        return [kind for kind in kinds if kind in _IMPORTS]
    return [kind for kind in kinds if kind != GIL] or kinds


def _frames(finding: DistinctFinding) -> Iterator[Frame]:
    for stack in (
        *(access.stack for access in finding.accesses),
        *(edge.stack for edge in finding.acquisitions),
        *finding.stacks,
        *(thread.stack for thread in finding.threads if thread.stack),
    ):
        yield from stack.frames
