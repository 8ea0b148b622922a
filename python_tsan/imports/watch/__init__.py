"""Run a command under the watch, which reports deadlocks between imports as they happen.

In: a command. Out: its exit code, how many interpreters were watched, and how many reports they made. This folder goes
on ``PYTHONPATH`` for its ``sitecustomize``, which starts the watch; the watch itself is ``import_cases.watch``.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.imports.cases.import_cases.watch import LOG_VARIABLE, STALL_VARIABLE, STARTED
from python_tsan.process import find_command, run_attached

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WATCH = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """How a command ended: its exit code, how many interpreters were watched, and how many reports they made."""

    exit_code: int
    interpreters: int
    reports: int


def watch(command: Sequence[str], *, stall: float, env: Mapping[str, str]) -> Watched:
    """Run ``command`` on this process's own streams, to which its reports go too.

    ``stall`` is the time in seconds after which imports that do not move are reported. Raises SubjectError when the
    command cannot be started.
    """
    program = find_command(command[0], env)
    with tempfile.TemporaryDirectory(prefix="python-tsan-watch-") as folder:
        log = Path(folder, "log")
        ended = run_attached([program, *command[1:]], env=watch_environment(env, stall=stall, log=log))
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    started = sum(line.startswith(STARTED) for line in lines)
    reports = sum(line.startswith("python-tsan: ") for line in lines) - started
    return Watched(exit_code=ended.exit_code, interpreters=started, reports=reports)


def watch_environment(base: Mapping[str, str], *, stall: float, log: Path) -> dict[str, str]:
    """Return the environment in which every interpreter is watched, unless it ignores ``PYTHONPATH``."""
    inherited = [base["PYTHONPATH"]] if base.get("PYTHONPATH") else []
    path = os.pathsep.join([str(WATCH), *inherited])
    return {**base, "PYTHONPATH": path, STALL_VARIABLE: f"{stall:g}", LOG_VARIABLE: str(log)}
