"""Run one row under one mitigation and print what happened as one line of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.imports.cases.import_cases.__main__ import command_line, play

from .mitigations import MITIGATIONS
from .program import Program

if TYPE_CHECKING:
    from python_tsan.imports.cases.import_cases.case_run import CaseRun


def main() -> None:
    """Parse the command line and run the row."""
    parser = command_line()
    parser.add_argument("--mitigation", default="none", choices=sorted(MITIGATIONS))
    arguments = parser.parse_args()

    def prepare(run: CaseRun) -> None:
        steps = dict.fromkeys(step for steps in run.threads.values() for step in steps)
        entries = tuple(step for step in steps if ":" not in step)
        run.import_one = MITIGATIONS[arguments.mitigation](Program(run.scheduler, run.import_one, entries))

    play(arguments, prepare, mitigation=arguments.mitigation)


if __name__ == "__main__":
    main()
