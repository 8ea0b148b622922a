"""Judge a run of mutmut: how many mutants the tests killed, and whether each survivor is argued in ``mutants.toml``."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ARGUED = Path(__file__).with_suffix(".toml")
MINIMUM_KILLED = 0.95
# A line of "mutmut results": "    python_tsan.tsan.fingerprint.x__module__mutmut_5: survived".
_RESULT = re.compile(r"^\s*(?P<mutant>\S+): (?P<status>[a-z ]+)$", re.MULTILINE)
_DETECTED = {"killed", "timeout", "segfault", "caught by type check"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change to one function; ``change`` is the changed line as mutmut prints it, without its sign."""

    name: str
    status: str
    change: str = ""

    @property
    def function(self) -> str:
        """The function that was changed, such as ``python_tsan.tsan.fingerprint._module``."""
        module, _, name = self.name.partition(".x")
        return f"{module}.{name.rpartition('__mutmut_')[0].removeprefix('_')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """Why a survivor changes nothing that a user can observe: ``change`` is a part of the changed line."""

    function: str
    change: str
    reason: str

    def covers(self, mutant: Mutant) -> bool:
        """Return whether this argument is about ``mutant``."""
        return self.function == mutant.function and self.change in mutant.change


def read_results(text: str) -> list[Mutant]:
    """Return every mutant of the output of ``mutmut results --all true``."""
    return [Mutant(name=match["mutant"], status=match["status"]) for match in _RESULT.finditer(text)]


def changed_line(diff: str) -> str:
    """Return the lines that a mutant adds, or the ones that it removes where it adds none."""
    lines = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    added = [line[1:].strip() for line in lines if line.startswith("+")]
    return " ".join(added or [line[1:].strip() for line in lines if line.startswith("-")])


def problems(mutants: Sequence[Mutant], arguments: Sequence[Argument]) -> Iterator[str]:
    """Yield each reason why the run does not pass: too few killed, a survivor or an argument without its match."""
    if not mutants:
        yield "no mutant was run"
        return
    survivors = [each for each in mutants if each.status not in _DETECTED]
    killed = 1 - len(survivors) / len(mutants)
    if killed < MINIMUM_KILLED:
        yield f"{killed:.1%} of {len(mutants)} mutants were killed, at least {MINIMUM_KILLED:.0%} are required"
    for mutant in survivors:
        if not any(argument.covers(mutant) for argument in arguments):
            yield f"{mutant.status}: {mutant.name}: {mutant.change}"
    for argument in arguments:
        if not any(argument.covers(mutant) for mutant in survivors):
            yield f"{ARGUED.name} argues for a mutant that does not survive: {argument.function}: {argument.change}"


def _mutmut(*arguments: str) -> str:
    command = (sys.executable, "-m", "mutmut", *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> int:
    """Print the figures and every problem; return 1 if there is one."""
    mutants = [
        each
        if each.status in _DETECTED
        else Mutant(name=each.name, status=each.status, change=changed_line(_mutmut("show", each.name)))
        for each in read_results(_mutmut("results", "--all", "true"))
    ]
    entries = tomllib.loads(ARGUED.read_text(encoding="utf-8")).get("survivor", [])
    found = list(problems(mutants, [Argument(**entry) for entry in entries]))
    survivors = sum(each.status not in _DETECTED for each in mutants)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants killed, {survivors} survived")  # noqa: T201 -- output
    print("\n".join(found))  # noqa: T201 -- output
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
