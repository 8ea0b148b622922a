"""Find out what this machine can build and fetch for a matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.binding import BINDINGS
from python_tsan.cpython.sources.search import obtain_source
from python_tsan.errors import ExitCode, PythonTsanError
from python_tsan.harness.bindings import find_binding
from python_tsan.matrix.model import Available, LeftOut
from python_tsan.setting_values import NEWEST_MINOR, OLDEST_MINOR
from python_tsan.toolchain.choose import first_working
from python_tsan.toolchain.model import Family
from python_tsan.toolchain.selection import survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.binding import Binding
    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.matrix.model import Wish
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Probe


def look(settings: Settings, wish: Wish, *, layout: Layout, console: Console) -> Available:
    """Return what is available of the request. Sources are fetched, to be sure of them."""
    missing: list[LeftOut] = []
    return Available(
        toolchains=_toolchains(settings, wish, missing, layout=layout, console=console),
        pythons=_pythons(settings, wish, missing, layout=layout, console=console),
        bindings=_bindings(settings, wish, missing, layout=layout, console=console),
        missing=tuple(missing),
    )


def _toolchains(
    settings: Settings, wish: Wish, missing: list[LeftOut], *, layout: Layout, console: Console
) -> tuple[str, ...]:
    """Return the named compilers that work, else the best of each family."""
    named = wish.toolchains or ((settings.toolchain,) if settings.toolchain else ())
    if not named:
        return _best_of_each(survey(None, layout=layout, console=console).probes)
    found: dict[str, None] = {}
    for name in named:
        chosen = survey(name, layout=layout, console=console).chosen
        if chosen is None:
            reason = "not on this machine, or its runtime does not work here; see doctor"
            missing.append(LeftOut(what=name, reason=reason, code=ExitCode.TOOLCHAIN))
        else:
            found[chosen.name] = None
    return tuple(found)


def _best_of_each(probes: Sequence[Probe]) -> tuple[str, ...]:
    """Return the best compiler of each family; ``probes`` are most requested first."""
    of_families = ([probe for probe in probes if probe.candidate.family is family] for family in Family)
    working = (first_working(family) for family in of_families)
    return tuple(probe.toolchain.name for probe in working if probe and probe.toolchain)


def _pythons(
    settings: Settings, wish: Wish, missing: list[LeftOut], *, layout: Layout, console: Console
) -> tuple[str, ...]:
    named = wish.pythons or ((settings.python,) if settings.python else ())
    requested = named or tuple(f"3.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1))
    found: dict[str, None] = {}
    for version in requested:
        try:
            tree = obtain_source(replace(settings, python=version), layout=layout, console=console)
        except PythonTsanError as error:
            missing.append(_unobtainable(f"CPython {version}", error, asked=version in named))
        else:
            found[tree.record.version] = None
    return tuple(found)


def _bindings(
    settings: Settings, wish: Wish, missing: list[LeftOut], *, layout: Layout, console: Console
) -> tuple[Binding, ...]:
    found: list[Binding] = []
    for binding in wish.bindings or dict.fromkeys((*filter(None, [settings.binding]), *BINDINGS)):
        try:
            find_binding(binding, layout=layout, console=console)
        except PythonTsanError as error:
            missing.append(_unobtainable(str(binding), error, asked=bool(wish.bindings)))
        else:
            found.append(binding)
    return tuple(found)


def _unobtainable(what: str, error: PythonTsanError, *, asked: bool) -> LeftOut:
    # The first line says that it is unavailable, the others why, provider by provider.
    heading, *places = error.message.splitlines()
    reason = "; ".join(line.strip() for line in places) or heading
    return LeftOut(what=what, reason=reason, code=error.exit_code if asked else None)
