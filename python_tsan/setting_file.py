"""Own reading a TOML file so that an error can name its line; leave what the keys mean to :mod:`python_tsan.config`."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_POSITION = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


def read_table(path: Path, section: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the table at ``section``, or None if there is no such file or section.

    Raises :class:`UsageError` that names the file, and the line of TOML that is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})") from error
    try:
        table: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, text, error) from error
    for key in section:
        table = table.get(key) if isinstance(table, dict) else None
    if table is None or isinstance(table, dict):
        return table
    raise UsageError(f"{path}:{line_of(text, section)}: {'.'.join(section)} must be a table")


def _syntax_error(path: Path, text: str, error: tomllib.TOMLDecodeError) -> UsageError:
    message = str(error)
    position = _POSITION.search(message)
    line = position["line"] if position and position["line"] else len(text.rstrip().split("\n"))
    return UsageError(f"{path}:{line}: {_POSITION.sub('', message)}", advice="correct the TOML syntax")


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line, from 1, of the statement that brings ``keys`` into the document.

    ``tomllib`` keeps no positions. Cutting a valid document at a line end leaves a valid one exactly where no statement
    is open, so the statement that makes the key appear starts after the longest cut that parses without it.
    """
    lines = text.split("\n")  # not splitlines(), which also splits where TOML does not
    start = 1
    for count in range(1, len(lines) + 1):
        try:
            table: Any = tomllib.loads("\n".join(lines[:count]) + "\n")
        except tomllib.TOMLDecodeError:
            continue
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        if table is not None:
            return start
        start = count + 1
    return start
