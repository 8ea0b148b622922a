"""Write the C API's contract into the lock recorder, or compare it with CPython's documentation.

``python -m tools.c_api_contract`` writes ``native/preload/locks/contract.hpp``. With ``--docs FOLDER`` it lists what
the documentation in a CPython source tree allows without a thread state and the table does not; it then exits with 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tools" / "c_api_contract.toml"
OUTPUT = ROOT / "native" / "preload" / "locks" / "contract.hpp"

_SAFE_BEFORE = re.compile(r"^\.\. _pre-init-safe:$(.*?)^\.\. note::$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r":c:func:`!?(\w+)`")
_FUNCTION = re.compile(r"^\.\. c:function:: .*?(\w+)\(", re.MULTILINE)
_ROLE = re.compile(r":\w+:`!?~?([^`<]+)(?:<[^`]*)?`")
# Sentences in which the documentation frees a function, in the words of 3.12, and of 3.14 and later.
_FREE = re.compile(
    r"lock need not be held|does not need to hold an attached thread state|attached thread state is not needed"
    r"|can be called without (the gil|an attached thread state|holding the gil)|safe to call without an attached"
    r"|from any thread at any time"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The functions that need no attached thread state: by name, or by the beginning of their names."""

    names: frozenset[str]
    prefixes: tuple[str, ...]
    lists: dict[str, tuple[str, ...]]

    def frees(self, name: str) -> bool:
        """Whether a thread without an attached thread state may call the function."""
        return name in self.names or name.startswith(self.prefixes)


def read_contract(text: str) -> Contract:
    """Read the table. Raises ``ValueError`` for a name that is there twice."""
    table = tomllib.loads(text)
    names = [name for group in table["free"] for name in group.get("names", ())]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"named twice: {', '.join(twice)}")
    return Contract(
        names=frozenset(names),
        prefixes=tuple(sorted(prefix for group in table["free"] for prefix in group.get("prefixes", ()))),
        lists={name: tuple(sorted(names)) for name, names in table.items() if name != "free"},
    )


def include_file(contract: Contract) -> str:
    """Return the C++ text with the sorted names."""
    parts = [
        "// Which functions may be called without an attached thread state, and which are looked at in other ways.",
        "// Written by `python -m tools.c_api_contract` from tools/c_api_contract.toml.\n",
        "#pragma once\n",
        "// clang-format off",
    ]
    lists = {"free_names": sorted(contract.names), "free_prefixes": contract.prefixes, **contract.lists}
    for name, entries in lists.items():
        rows = "".join(f'    "{entry}",\n' for entry in entries)
        parts.append(f"constexpr const char* {name}[] = {{\n{rows}}};")
    return "\n".join(parts) + "\n"


def documented_as_free(folder: Path) -> Iterator[str]:
    """Yield what the pages below ``Doc/c-api`` of a source tree allow without an attached thread state."""
    for page in sorted((folder / "Doc" / "c-api").glob("*.rst")):
        text = page.read_text(encoding="utf-8")
        for listed in _SAFE_BEFORE.findall(text):
            yield from _NAME.findall(listed)
        for block in re.split(r"(?m)^(?=\.\. c:\w+::)", text):
            function = _FUNCTION.match(block)
            if function and _FREE.search(" ".join(_ROLE.sub(r"\1", block).split()).lower()):
                yield function[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or compare the table with a source tree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="compare with this CPython source tree")
    options = parser.parse_args(arguments)
    contract = read_contract(TABLE.read_text(encoding="utf-8"))
    if options.docs is None:
        OUTPUT.write_text(include_file(contract), encoding="utf-8")
        return 0
    missing = sorted({name for name in documented_as_free(options.docs) if not contract.frees(name)})
    sys.stdout.writelines(f"{name}: documented as callable without an attached thread state\n" for name in missing)
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
