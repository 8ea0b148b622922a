"""Own the processes in which imports are traced and driven; leave their meaning to ``hazards`` and ``proof``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_tsan.errors import SubjectError
from python_tsan.imports.hazards import PAUSES
from python_tsan.imports.measure import INSIDE
from python_tsan.process import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from python_tsan.imports.hazards import Hazard
    from python_tsan.imports.measure import Python

TRACE_SECONDS = 60.0
HANG_SECONDS = 3.0
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An interpreter and the folders that its modules are found in, first of all.

    ``patience`` is the time in seconds that the import of an entry may take.
    """

    python: Python
    path: tuple[Path, ...] = ()
    patience: float = TRACE_SECONDS

    def trace(self, entries: Sequence[str]) -> dict[str, Any]:
        """Import ``entries`` in a fresh process and return their trace. Raises SubjectError when none comes."""
        return self._ask(["trace", *entries], what=f"the trace of {', '.join(entries)}", deadline=self.patience)

    def confirm(self, hazard: Hazard, *, main: Sequence[str] = ()) -> dict[str, Any]:
        """Drive two threads into the hazard in a fresh process, after importing ``main``, and return what they met."""
        plan = {
            "first": hazard.first,
            "second": hazard.second,
            "point": PAUSES[hazard.stop.phase],
            "module": hazard.stop.module,
            "main": list(main),
            "deadline": HANG_SECONDS,
        }
        what = f"the run of {hazard.first} against {hazard.second}"
        return self._ask(
            ["confirm", json.dumps(plan)], what=what, deadline=max(START_SECONDS, self.patience) + HANG_SECONDS
        )

    def _ask(self, arguments: Sequence[str], *, what: str, deadline: float) -> dict[str, Any]:
        command = [*self.python.command, "-m", "import_cases.probe", *arguments]
        ended = run(command, env=self._environment(os.environ), timeout=deadline)
        if ended.timed_out:
            raise SubjectError(f"{what} did not end within {deadline:.0f} s")
        try:
            answer: dict[str, Any] = json.loads(ended.stdout)
        except ValueError as error:
            last = ended.stderr.strip().rpartition("\n")[2]
            raise SubjectError(f"{what} ended without a result (exit {ended.exit_code}): {last}") from error
        return answer

    def _environment(self, base: Mapping[str, str]) -> dict[str, str]:
        folders = [str(INSIDE), *(str(folder) for folder in self.path)]
        inherited = [base["PYTHONPATH"]] if base.get("PYTHONPATH") else []
        return {**base, "PYTHONPATH": os.pathsep.join([*folders, *inherited]), "PYTHONDONTWRITEBYTECODE": "1"}
