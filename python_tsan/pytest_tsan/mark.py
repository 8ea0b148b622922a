"""Read the arguments of the marker. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from python_tsan.errors import UsageError
from python_tsan.setting_values import LARGEST, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkOptions:
    """What the marker of one test says: what it must show, in how many runs, each of at most ``timeout`` seconds.

    ``detect`` names detectors, separated by commas; all of them if it is empty.
    """

    expect: str = "clean"
    repeat: int = 1
    timeout: float = DEFAULT_SECONDS
    detect: str = ""


def read_mark(arguments: tuple[object, ...], named: Mapping[str, Any]) -> MarkOptions:
    """Return what a marker asks for.

    Raises :class:`UsageError` for an argument that it does not take or that makes no sense.
    """
    unknown = [repr(each) for each in arguments] + [name for name in named if name not in MarkOptions.__slots__]
    if unknown:
        raise _wrong(f"takes expect, repeat, timeout and detect, not {', '.join(unknown)}")
    try:
        options: MarkOptions = msgspec.convert(dict(named), MarkOptions)
    except msgspec.ValidationError as error:
        raise _wrong(f"cannot be read: {error}") from error
    if not (1 <= options.repeat <= LARGEST and 0 < options.timeout <= LARGEST):
        raise _wrong(f"takes a repeat that is {Kind.COUNT.value}, and a timeout that is {Kind.SECONDS.value}")
    return options


def _wrong(what: str) -> UsageError:
    return UsageError(
        f"pytest.mark.tsan {what}", advice="as in @pytest.mark.tsan(repeat=5, timeout=60)", page="marked-tests"
    )
