"""Read TOML files that users write, so that every error names the file and the line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from python_tsan.errors import UsageError
from python_tsan.storage import read_regular

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 16 << 20
MOST_CUTS = 1000
_POSITION = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


def read_text(file: Path, *, what: str = "", page: str = "") -> str:
    """Return the text of a file that the user names as ``what``.

    Raises :class:`UsageError` for a file that does not exist, is not regular, larger than 16 MB, or not UTF-8; ``page``
    is its page in ``docs/errors.md``.
    """
    try:
        return read_regular(file, limit=MOST_BYTES).decode("utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {what}{' ' if what else ''}{file}: {error.strerror}", page=page) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 text (byte {error.start})", page=page) from error


def parse(text: str, file: Path | str, *, page: str = "") -> dict[str, Any]:
    """Return the table in ``text``. Raises :class:`UsageError` with the line of a syntax error."""
    import tomllib  # noqa: PLC0415 -- many commands read no settings

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = _POSITION.search(str(error))
        line = position["line"] if position and position["line"] else len(text.rstrip().split("\n"))
        raise UsageError(
            f"{file}:{line}: {_POSITION.sub('', str(error))}", advice="correct the TOML syntax", page=page
        ) from error
    except ValueError as error:  # a number of more digits than Python converts
        raise UsageError(f"{file}: {error}", advice="correct the TOML syntax", page=page) from error
    except RecursionError as error:
        raise UsageError(f"{file}: nested too deeply", page=page) from error


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line, from 1, of the statement that adds ``keys`` to the document.

    ``tomllib`` keeps no positions. A valid document that is cut at a line end stays valid exactly where no statement
    is open, so the statement that adds the key starts after the longest cut that parses without the key. In a long
    document, where that takes too long, it is the first line with the key in it.
    """
    import tomllib  # noqa: PLC0415 -- as above

    lines = text.split("\n")  # not splitlines(), which also splits where TOML does not
    if len(lines) > MOST_CUTS:
        return next((number for number, line in enumerate(lines, 1) if keys[-1:] and keys[-1] in line), 1)
    start = 1
    for count in range(1, len(lines) + 1):
        try:
            table: Any = tomllib.loads("\n".join(lines[:count]) + "\n")
        except tomllib.TOMLDecodeError:
            continue
        if table_at(table, keys) is not None:
            return start
        start = count + 1
    return start


def table_at(table: Any, keys: tuple[str, ...]) -> Any:  # noqa: ANN401 -- any TOML value
    """Return the value at ``keys``, None if it is missing."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table
