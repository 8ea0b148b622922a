"""Own which numpy is wanted for an interpreter: the locked one, or the version that the settings name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.cpython.locks import numpy_lock
from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from python_tsan.config import Settings
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A numpy version, as requirements for uv. ``pinned_by`` is the requirements' SHA-256."""

    version: str
    requirements: str
    hashed: bool

    @property
    def pinned_by(self) -> str:
        """Identity of exactly these requirements."""
        return hashlib.sha256(self.requirements.encode()).hexdigest()


def choose_numpy(interpreter: Interpreter | BuildPlan, settings: Settings) -> Wanted:
    """Return the numpy for this interpreter: the locked one, or the version that the settings name, without hashes."""
    minor = ".".join(interpreter.version.split(".")[:2])
    lock = numpy_lock(minor, free_threaded=interpreter.free_threaded)
    if lock is not None and settings.numpy in (None, lock.version):
        return Wanted(version=lock.version, requirements=lock.file.read_text(encoding="utf-8"), hashed=True)
    if settings.numpy is None:
        raise UsageError(
            f"No numpy is locked for Python {minor}{'t' if interpreter.free_threaded else ''}.",
            advice="Name a version that has a wheel for it: --numpy VERSION.",
        )
    return Wanted(version=settings.numpy, requirements=f"numpy=={settings.numpy}\n", hashed=False)
