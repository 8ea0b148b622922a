"""Read what is known to fail in CPython's own tests (``own_tests.toml``)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from python_tsan.result.known import DATA_FILE, KnownFailure, Seen

if TYPE_CHECKING:
    from python_tsan.cpython.manifest import Interpreter


@cache
def known_failures() -> tuple[KnownFailure, ...]:
    """Return what is known of CPython's own tests."""
    table = tomllib.loads(files(__package__).joinpath(DATA_FILE).read_text(encoding="utf-8"))
    return tuple(
        KnownFailure(**{**entry, "releases": tuple(entry["releases"]), "seen": Seen(entry["seen"])})
        for entry in table.get("known", ())
    )


def known_of(test: str, interpreter: Interpreter) -> tuple[KnownFailure, ...]:
    """Return what is known of one test in this interpreter."""
    version, free_threaded = interpreter.version, interpreter.free_threaded
    return tuple(
        each for each in known_failures() if each.test == test and each.concerns(version, free_threaded=free_threaded)
    )
