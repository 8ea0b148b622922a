"""Describe what a harness is built from, and compute its content key; reads the sources, changes nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from python_tsan.errors import ToolchainError
from python_tsan.expectation import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_tsan.binding import Binding
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.toolchain.model import Toolchain

# Raised whenever the same inputs are built in another way, so that no older build is taken for a new one.
RECIPE = 1
KEY_LENGTH = 20
_SUFFIXES = {".cpp", ".hpp", ".txt", ".cmake", ".json"}
# Folders next to the harness that others build, or that are builds.
_NOT_OURS = (
    "build",
    "companion",
    "golden",
    "package",
    "preload/common",
    "preload/locks",
    "preload/shims",
    "preload/tracer",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessPlan:
    """Everything that decides what a harness build yields. ``sources`` maps relative paths to SHA-256."""

    preset: str
    compiler: str
    compiler_version: str
    runtime_id: str
    interpreter: str
    library: str
    executable: str
    binding: str
    sources: Mapping[str, str]
    recipe: int = RECIPE

    @property
    def key(self) -> str:
        """Content key: equal keys mean the same harness."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def plan_harness(interpreter: Interpreter, *, toolchain: Toolchain, binding: Binding, native: Path) -> HarnessPlan:
    """Return the plan for the sources in ``native``.

    Raises ``ToolchainError`` when the toolchain has no C++ compiler, or when its runtime is not the one that the
    instrumented ``interpreter`` was built for: two TSan runtimes in one process corrupt each other.
    """
    if toolchain.candidate.cxx is None:
        raise ToolchainError(
            f"{toolchain.name} has no C++ compiler, which the harness needs",
            advice="`python-tsan doctor` prints how to install it",
        )
    if interpreter.instrumented and interpreter.runtime_id != toolchain.runtime_id:
        raise ToolchainError(
            f"CPython {interpreter.version} was built with {interpreter.toolchain}, whose ThreadSanitizer runtime is "
            f"not that of {toolchain.name}; one process can hold only one",
            evidence=interpreter.prefix,
            advice=f"Choose --toolchain {interpreter.toolchain}, or build CPython again with {toolchain.name}.",
        )
    lane = Lane.FULL if interpreter.instrumented else Lane.FAST
    return HarnessPlan(
        preset=f"{toolchain.candidate.family.value}-{lane.value}",
        compiler=str(toolchain.candidate.cxx),
        compiler_version=toolchain.candidate.version,
        runtime_id=toolchain.runtime_id,
        interpreter=interpreter.key,
        library=str(interpreter.library),
        executable=str(interpreter.executable),
        binding=binding.requirement,
        sources=hash_sources(native),
    )


def hash_sources(native: Path) -> dict[str, str]:
    """Return the SHA-256 of each of the harness's sources below ``native`` by its relative path."""
    return {
        str(path.relative_to(native)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(native.rglob("*"))
        if path.suffix in _SUFFIXES and not any(path.is_relative_to(native / other) for other in _NOT_OURS)
    }
