"""Read, merge and print ``TSAN_OPTIONS``; the callers decide which options they set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping

# The separators of sanitizer_flag_parser.cpp: a name, "=", a value that quotes may protect.
_SEPARATORS = " ,:\n\t\r"
_ITEM = re.compile(
    rf"(?P<name>[^={_SEPARATORS}]+)=(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^{_SEPARATORS}]*))"
    rf"|(?P<wrong>[^{_SEPARATORS}]+)"
)


class Override(Struct, frozen=True, kw_only=True):
    """An option that the user and python-tsan both set; the user's value wins."""

    name: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"TSAN_OPTIONS: {self.name}={self.theirs} is yours and stays; {self.name}={self.ours} is not used"


class Options(Struct, frozen=True, kw_only=True):
    """Options by name, in order. ``wrong`` holds words without ``=``, over which the runtime would give up."""

    values: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join(f"{name}={_quote(value)}" for name, value in self.values.items())


def parse_options(text: str) -> Options:
    """Read the value of ``TSAN_OPTIONS``; of two values for one name the later holds, as in the runtime."""
    values: dict[str, str] = {}
    wrong: list[str] = []
    for item in _ITEM.finditer(text):
        if item["wrong"]:
            wrong.append(item["wrong"])
        else:
            values[item["name"]] = next(v for v in (item["double"], item["single"], item["bare"]) if v is not None)
    return Options(values=values, wrong=tuple(wrong))


def merge_options(ours: Mapping[str, str], theirs: str) -> tuple[Options, tuple[Override, ...]]:
    """Lay the user's ``TSAN_OPTIONS`` over ours. Also return each place where theirs replaced ours, to be shown."""
    user = parse_options(theirs)
    overrides = tuple(
        Override(name=name, ours=value, theirs=user.values[name])
        for name, value in ours.items()
        if user.values.get(name, value) != value
    )
    return Options(values={**ours, **user.values}, wrong=user.wrong), overrides


def _quote(value: str) -> str:
    """Quote a value that holds a separator. The runtime knows no escape: it cannot express a value with both quotes."""
    if not any(letter in _SEPARATORS for letter in value):
        return value
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise ValueError(f"TSAN_OPTIONS cannot express a value with separators and both kinds of quotes: {value!r}")
    return f"{quote}{value}{quote}"
