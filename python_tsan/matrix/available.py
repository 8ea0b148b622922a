"""Find out what this machine can build and fetch for a matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from python_tsan.binding import BINDINGS
from python_tsan.cpython.sources.search import obtain_source
from python_tsan.errors import PythonTsanError, ToolchainError
from python_tsan.harness.bindings import find_binding
from python_tsan.matrix.model import Available, LeftOut
from python_tsan.setting_values import NEWEST_MINOR, OLDEST_MINOR
from python_tsan.toolchain.choose import first_working
from python_tsan.toolchain.model import Family
from python_tsan.toolchain.selection import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from python_tsan.binding import Binding
    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.matrix.model import Axes
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Probe

Key = TypeVar("Key")
Item = TypeVar("Item")


def find_available(settings: Settings, axes: Axes, *, layout: Layout, console: Console) -> Available:
    """Return what is available of the request. Sources are fetched, to be sure of them."""

    def toolchain(name: str) -> str:
        chosen = survey(name, layout=layout, console=console).chosen
        if chosen is None:
            raise ToolchainError("not on this machine, or its runtime does not work here; see doctor")
        return chosen.name

    def python(version: str) -> str:
        return obtain_source(replace(settings, python=version), layout=layout, console=console).record.version

    def binding(each: Binding) -> Binding:
        find_binding(each, layout=layout, console=console)
        return each

    missing: list[LeftOut] = []
    compilers = axes.toolchains or ((settings.toolchain,) if settings.toolchain else ())
    versions = axes.pythons or ((settings.python,) if settings.python else ())
    series = [f"3.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1)]
    bindings = axes.bindings or dict.fromkeys((*filter(None, [settings.binding]), *BINDINGS))
    found = Available(
        toolchains=_obtained(toolchain, compilers, "", missing, asked=True)
        if compilers
        else _best_of_each(survey(None, layout=layout, console=console).probes),
        pythons=_obtained(python, versions or series, "CPython ", missing, asked=bool(versions)),
        bindings=_obtained(binding, bindings, "", missing, asked=bool(axes.bindings)),
    )
    return replace(found, missing=tuple(missing))


def _obtained(
    obtain: Callable[[Key], Item], keys: Iterable[Key], kind: str, missing: list[LeftOut], *, asked: bool
) -> tuple[Item, ...]:
    """Return what can be obtained, each once; add the rest to ``missing``. ``asked``: it was requested by name."""
    found: dict[Item, None] = {}
    for key in keys:
        try:
            found[obtain(key)] = None
        except PythonTsanError as error:
            # The first line says that it is unavailable, the others why, provider by provider.
            heading, *places = error.message.splitlines()
            reason = "; ".join(line.strip() for line in places) or heading
            missing.append(LeftOut(what=f"{kind}{key}", reason=reason, code=error.exit_code if asked else None))
    return tuple(found)


def _best_of_each(probes: Sequence[Probe]) -> tuple[str, ...]:
    """Return the best compiler of each family; ``probes`` are best first."""
    of_families = ([probe for probe in probes if probe.candidate.family is family] for family in Family)
    working = (first_working(family) for family in of_families)
    return tuple(probe.toolchain.name for probe in working if probe and probe.toolchain)
