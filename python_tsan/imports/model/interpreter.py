"""Identify the interpreter whose imports are examined."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports import cases
from python_tsan.process import run
from python_tsan.setting_values import NEWEST_MINOR
from python_tsan.version import numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a subject needs on sys.path to run the modules of this project.
CASES = Path(cases.__file__).parent
# Starting an interpreter on a busy machine can take longer than what it is asked to do.
PROCESS_SECONDS = 60.0
MINORS = range(9, NEWEST_MINOR + 1)

_IDENTIFY = """
import json, sys
tsan = b"__tsan_init" in open("/proc/self/exe", "rb").read()
threads = "free-threading" in sys.version
print(json.dumps([sys.version_info[:3], sys.version.split()[0], sys.implementation.name, threads, tsan]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """An interpreter that can be started. ``command`` starts it; ``version`` is exact; ``sanitized``: under TSan."""

    command: tuple[str, ...]
    version: tuple[int, ...]
    text: str
    free_threaded: bool = False
    sanitized: bool = False


def identify(command: Sequence[str]) -> Python:
    """Start ``command`` and ask what it is. Raises SubjectError if it is not a Python from 3.9 on."""
    advice = f"name the executable of a CPython from 3.{MINORS[0]} to 3.{MINORS[-1]}"
    try:
        ended = run([*command, "-I", "-c", _IDENTIFY], timeout=PROCESS_SECONDS)
    except OSError as error:
        raise SubjectError(f"{command[0]} cannot be started: {error.strerror}", advice=advice) from error
    if ended.timed_out:
        raise SubjectError(f"{command[0]} did not answer within {PROCESS_SECONDS:g} s", advice=advice)
    try:
        version, text, implementation, free_threaded, sanitized = json.loads(ended.stdout)
    except (ValueError, TypeError) as error:
        raise SubjectError(f"{command[0]} does not answer as a Python does ({ended.how})", advice=advice) from error
    if implementation != "cpython":
        raise SubjectError(f"{command[0]} is {implementation}, which has no module locks of CPython's", advice=advice)
    if tuple(version) < (3, MINORS.start):
        raise SubjectError(f"{command[0]} is Python {text}, which is too old", advice=advice)
    return Python(
        command=tuple(command),
        version=numbers_of(text),  # which keeps what is before a release, as sys.version_info[:3] does not
        text=text,
        free_threaded=free_threaded,
        sanitized=sanitized,
    )
