"""Make the environment for an interpreter under test, and for programs that embed it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.cpython.manifest import Interpreter

# Left over from the Python that runs this package, each would mislead another one.
_FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def clean_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return ``base`` without what points at another Python.

    A symbolizer hangs for ever on a debug information server that does not answer, so none is asked.
    """
    kept = {name: value for name, value in base.items() if name not in _FOREIGN}
    return {**kept, "DEBUGINFOD_URLS": ""}


def subject_environment(interpreter: Interpreter, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for programs that embed ``interpreter``, made from ``base``.

    ``PYTHONHOME`` shows the embedded library where its standard library is: it cannot infer it from a foreign program's
    path. ``LD_LIBRARY_PATH`` puts the interpreter's libraries first. Stock numpy's OpenBLAS
    gets one thread: its own threads are not what is being checked.
    """
    library = str(interpreter.library.parent)
    others = [path for path in base.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path and path != library]
    return {
        **clean_environment(base),
        "PYTHONHOME": str(interpreter.prefix),
        "LD_LIBRARY_PATH": os.pathsep.join([library, *others]),
        "PYTHONNOUSERSITE": "1",
        "OPENBLAS_NUM_THREADS": base.get("OPENBLAS_NUM_THREADS", "1"),
    }
