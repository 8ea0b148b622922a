"""Report all invalid inputs of the action in one message, before anything is installed or built.

GitHub only warns about an unknown input and continues without it.
Standard library only: the machine's own Python runs this.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys

OLDEST_PYTHON = (3, 11)
BOOLEAN = r"true|false"
WHOLE = r"[1-9][0-9]*"
# What each input may be; a test compares the names with action.yml.
INPUTS = {
    "command": r"(?s).*\S.*",
    "build": r"(?s).*",
    "python": r"(3\.[0-9]+(\.[0-9]+((a|b|rc)[0-9]+)?)?)?",
    "free-threaded": BOOLEAN,
    "toolchain": r"\S*",
    "numpy": BOOLEAN,
    "binding": r"((pybind11|nanobind)==[0-9]+(\.[0-9]+)+)?",
    "working-directory": r".+",
    "own": r"(?s).*",
    "expect": r".+",
    "baseline": r".*",
    "suppressions": r"(?s).*",
    "children": BOOLEAN,
    "repeat": WHOLE,
    "shard": r"([1-9][0-9]*/[1-9][0-9]*)?",
    "timeout": r"[0-9]+(\.[0-9]+)?",
    "artifact": r'[^":<>|*?\\/\r\n]*',
    "upload-sarif": BOOLEAN,
}


def complaints(given: dict[str, str]) -> list[str]:
    """Return what is wrong with the inputs ``given``, a sentence for each."""
    found = []
    for name in given:
        if name not in INPUTS:
            near = difflib.get_close_matches(name, INPUTS, n=1)
            found.append(f"there is no input {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    for name, pattern in INPUTS.items():
        value = given.get(name, "")
        if not re.fullmatch(pattern, value):
            found.append(f"{name}: {value!r} cannot be used" if value else f"{name} is needed")
    return found


def main() -> int:
    """Print one annotation for all that is wrong, and return the exit code."""
    found = complaints(json.loads(os.environ["INPUTS"]))
    if sys.version_info < OLDEST_PYTHON:
        found.append("python-tsan needs Python 3.11 or later on the machine; put actions/setup-python before it")
    if not found:
        return 0
    text = "; ".join(found) + " (inputs: docs/github-actions.md)"
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stdout.write(f"::error title=python-tsan::{escaped}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
