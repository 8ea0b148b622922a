"""Show how the installed distributions differ from ``requirements-lock.txt``."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOCK = Path(__file__).parents[1] / "requirements-lock.txt"
# A line of the lock: "numpy==2.5.5 ; python_full_version >= '3.12' \\" (the hashes follow on lines of their own).
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)", re.MULTILINE)


def normalized(name: str) -> str:
    """Return a distribution's name as indexes compare it (PyPA's "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, frozenset[str]]:
    """Return the versions that a lock pins by normalized name: several where they depend on the Python version."""
    found: dict[str, frozenset[str]] = {}
    for match in _PIN.finditer(text):
        name = normalized(match["name"])
        found[name] = found.get(name, frozenset()) | {match["version"]}
    return found


def differences(locked: Mapping[str, frozenset[str]], installed: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each installed distribution that the lock does not pin, or pins at another version."""
    for name, version in sorted(installed.items()):
        expected = locked.get(name)
        if expected is None:
            yield f"{name} {version} is not in the lock"
        elif version not in expected:
            yield f"{name} {version} instead of {' or '.join(sorted(expected))}"


def installed_versions() -> dict[str, str]:
    """Return the version of each distribution of this environment by normalized name, the project itself left out."""
    found = {normalized(each.metadata["Name"]): each.version for each in distributions()}
    return {name: version for name, version in found.items() if name != "python-tsan"}


def main() -> None:
    """Print the differences, or that all are at their locked version."""
    lines = list(differences(pins(LOCK.read_text(encoding="utf-8")), installed_versions()))
    print("\n".join(lines) or "every installed distribution is at its locked version")  # noqa: T201 -- the output


if __name__ == "__main__":
    main()
