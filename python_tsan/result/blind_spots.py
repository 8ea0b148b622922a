"""Read what is known of the runtime's blind spots: which libraries and constructs it misjudges, and what helps.

The knowledge is data, in ``blind_spots.toml``; :mod:`.unlikely` applies it to findings.
"""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from python_tsan import toml_file
from python_tsan.errors import UsageError
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from python_tsan.result.model import SharedObject

FILE = "blind_spots.toml"
# libarrow.so.2600, libglib-2.0.so.0.7400.6: a loader and a linker name one file by different links
_SONAME_VERSION = re.compile(r"\.so(?:\.\d+)+$")
# Letters and digits that a pattern of objects needs, so that none matches the user's own by accident.
_LEAST_LETTERS = 3
# Names that the language keeps from users: of the implementation, and of the standard library.
_NOT_THE_USERS = ("__", "std::")


class Treatment(Enum):
    """What python-tsan does about a blind spot."""

    SET_ASIDE = "set aside"  # findings whose accesses are all inside these objects
    SHIM = "shim"  # a preloaded library reports the synchronization to the runtime
    EXPLAINED = "explained"  # a death or a hang is named, with the setting that helps
    STATED = "stated"  # the verdict states what was not seen
    NONE = "none"  # documented only


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was seen of a ``version`` with a ``runtime`` (``gcc 12``), ``on`` a date."""

    version: str
    runtime: str
    on: str
    seen: str


class BlindSpot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One library or construct that the runtime misjudges.

    It is recognised by ``objects`` (patterns of mapped files, matched from the end of the path), ``symbols`` (of
    frames), ``kinds`` of findings and ``runtimes`` (``gcc``, ``clang``; empty for both); or by what compilers and
    their libraries add to the user's own code: ``variables`` (patterns of the global that is raced on) and ``inside``
    (patterns of functions in ``std``, one of which makes each access); or by how each lock of a cycle was
    ``taken`` (an intercepted function), and by CPython's function that ``started`` each thread. ``recorded`` says that
    only a process counts whose locks the lock recorder saw, which knows more of them than the runtime. ``allocates``
    says that the library has an allocator of its own, so that memory of unknown origin is its. ``false`` says what is
    wrongly reported or missed, ``why`` the cause, ``helps`` what to do. ``program`` is the file of this repository that
    shows it.
    """

    name: str
    title: str
    treatment: Treatment
    false: str
    why: str
    helps: str
    program: str = ""
    objects: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    recorded: bool = False
    symbols: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = (Kind.RACE,)
    runtimes: tuple[str, ...] = ()
    allocates: bool = False
    measured: tuple[Measured, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an entry that could match by the user's own frames, or that nothing was measured of."""
        recognised = (self.objects, self.variables, self.inside, self.taken, self.started)
        if self.treatment is Treatment.SET_ASIDE and not any(recognised):
            raise ValueError(f"{self.name}: nothing recognises what is set aside")
        if users := next((each for each in (*self.variables, *self.inside) if not each.startswith(_NOT_THE_USERS)), ""):
            raise ValueError(f"{self.name}: the pattern {users!r} would match the user's own names")
        for pattern in self.objects:
            if sum(letter.isalnum() for letter in re.sub(r"\[[^]]*\]|\.so", "", pattern)) < _LEAST_LETTERS:
                raise ValueError(f"{self.name}: the pattern {pattern!r} would match the user's own objects")
        if not self.measured:
            raise ValueError(f"{self.name}: no measurement")

    def is_object(self, path: str) -> bool:
        """Return whether a mapped file is one of this blind spot's."""
        return any(fnmatchcase(f"/{path}", f"*/{pattern}") for pattern in self.objects)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    blind_spot: tuple[BlindSpot, ...]


def parse_blind_spots(text: str, file: Path | str) -> tuple[BlindSpot, ...]:
    """Read a file of blind spots. Raises :class:`UsageError` with file, entry and reason."""
    try:
        spots = msgspec.convert(toml_file.parse(text, file), _File).blind_spot
    except msgspec.ValidationError as error:
        raise UsageError(f"{file}: {error}") from error
    names = [spot.name for spot in spots]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"{file}: two blind spots are named {twice}")
    return spots


@cache
def blind_spots() -> tuple[BlindSpot, ...]:
    """Return those that are known, in the order of the file."""
    return parse_blind_spots(files(__package__).joinpath(FILE).read_text(encoding="utf-8"), FILE)


@cache
def constructs() -> tuple[BlindSpot, ...]:
    """Return those that are set aside without regard to the loaded objects."""
    return tuple(each for each in blind_spots() if each.treatment is Treatment.SET_ASIDE and not each.objects)


def module_name(path: str) -> str:
    """Return a file's name without the version behind ``.so``, as a frame and the loader may both spell it."""
    return _SONAME_VERSION.sub(".so", path.rpartition("/")[2])


def blind_objects(objects: Iterable[SharedObject]) -> Mapping[str, BlindSpot]:
    """Return, by :func:`module_name`, the blind spot of each loaded object that is known and not instrumented.

    A name that an unknown or an instrumented object has too is left out: a frame has no more than the name.
    """
    aside = [spot for spot in blind_spots() if spot.treatment is Treatment.SET_ASIDE]
    found: dict[str, set[BlindSpot | None]] = {}
    for each in objects:
        spot = next((spot for spot in aside if spot.is_object(each.path)), None)
        found.setdefault(module_name(each.path), set()).add(spot if each.instrumented is False else None)
    return {name: spot for name, those in found.items() if len(those) == 1 and (spot := next(iter(those)))}
