"""Own in which folders CPython can be built, and to which it can be moved; leave building and moving to others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

# CPython's makefile and scripts name its folders without quotes; autoconf refuses much the same as "unsafe".
_UNBUILDABLE = re.compile(r"""[\s"'`$&;|<>()*?\[\]#%:\\]""")
# What was built elsewhere only has to be found: by the loader, whose folders a colon parts, and in Python literals.
_UNMOVABLE = re.compile(r"""[\n"'`$:\\]""")


def refuse_unbuildable(root: Path) -> None:
    """Raise ``UsageError`` where CPython's own build would fail below ``root``, after minutes and in odd words."""
    _refuse(root, _UNBUILDABLE, "CPython cannot be built in")


def refuse_unmovable(root: Path) -> None:
    """Raise ``UsageError`` where an interpreter that was built elsewhere would not work below ``root``."""
    _refuse(root, _UNMOVABLE, "CPython cannot be moved to")


def _refuse(root: Path, unfit: re.Pattern[str], what: str) -> None:
    if found := unfit.search(str(root)):
        raise UsageError(
            f"{what} {root}: its own makefile and scripts cannot bear {found[0]!r} in a path",
            advice="choose another cache folder with --cache or PYTHON_TSAN_CACHE",
            page="storage",
        )
