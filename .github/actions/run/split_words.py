"""Split COMMAND into words as a shell would, without expanding or running anything; print them ended by NUL."""

from __future__ import annotations

import os
import shlex
import sys

if __name__ == "__main__":
    try:
        words = shlex.split(os.environ["COMMAND"])
    except ValueError as error:
        sys.exit(f"python-tsan: the command cannot be split into words: {error}")
    sys.stdout.write("".join(f"{word}\0" for word in words))
