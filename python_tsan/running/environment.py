"""Compose the environment of the user's command."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from python_tsan.checking.environment import compose_environment
from python_tsan.cpython.environment import subject_environment
from python_tsan.process import preloading
from python_tsan.running.companion import FOLDER_VARIABLE
from python_tsan.running.preflight import find_symbolizer, require_symbolizer
from python_tsan.running.record import SEED_VARIABLE
from python_tsan.tsan.options import parse_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.running.preflight import Prepared
    from python_tsan.toolchain.model import Toolchain

_HASH_SEEDS = 1 << 32


def environment_for(
    prepared: Prepared,
    *,
    caller: Mapping[str, str],
    toolchain: Toolchain | None,
    suppressions: Path | None,
    companion: tuple[Path, Path] | None,
) -> SubjectEnvironment:
    """Return the environment of the command: the caller's, and what a sound verdict needs.

    A program that holds none of our interpreters keeps the caller's Python variables: they may be for its own.
    ``companion`` is the library and the folder that it writes to.

    Raises :class:`SubjectError` when there is no symbolizer for the program's findings.
    """
    base = subject_environment(prepared.interpreter, caller) if prepared.interpreter else dict(caller)
    options = {"print_suppressions": "1"}
    symbolizer = find_symbolizer(prepared.program, toolchain, caller)
    require_symbolizer(prepared.program, symbolizer, parse_options(caller.get("TSAN_OPTIONS", "")).values)
    if symbolizer:
        options["external_symbolizer_path"] = str(symbolizer)
    if suppressions:
        options["suppressions"] = str(suppressions)
    extra = _preload(caller, base, companion)
    if prepared.interpreter and SEED_VARIABLE not in caller:
        # CPython draws one by itself; drawn here, it is known afterwards.
        extra[SEED_VARIABLE] = str(secrets.randbelow(_HASH_SEEDS))
    return compose_environment(base, options=options, extra=extra)


def _preload(caller: Mapping[str, str], base: Mapping[str, str], companion: tuple[Path, Path] | None) -> dict[str, str]:
    theirs = {"LD_PRELOAD": caller["LD_PRELOAD"]} if caller.get("LD_PRELOAD") else {}
    if companion is None:
        return theirs
    library, folder = companion
    return {**preloading([library], {**base, **theirs}), FOLDER_VARIABLE: str(folder)}
