"""Read the list of packages of the atlas from ``packages.toml``, which says why each one is in it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Packages that were chosen by one rule."""

    title: str
    rule: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The whole list: when it was chosen, from which source, and its groups."""

    chosen: str
    source: str
    groups: tuple[Group, ...]

    @property
    def packages(self) -> tuple[str, ...]:
        """Every package, in the order of the list."""
        return tuple(package for group in self.groups for package in group.packages)


@cache
def listed() -> Listed:
    """Return the list that comes with the package."""
    data = tomllib.loads((files(__package__) / "packages.toml").read_text(encoding="utf-8"))
    return Listed(
        chosen=data["chosen"].isoformat(),
        source=data["source"],
        groups=tuple(
            Group(title=group["title"], rule=group["rule"], packages=tuple(group["packages"]))
            for group in data["group"]
        ),
    )
