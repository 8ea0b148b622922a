"""Scale deadlines to the speed of the machine, and recognise a run that a busy machine disturbed; pure."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from python_tsan.expectation import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from python_tsan.expectation import Expectation
    from python_tsan.result.model import Observation

# The slowest run of the canary pair on an idle machine, symbolizer included: 0.3 to 0.9 s on two virtual cores.
CANARY_SECONDS = 1.0
MOST = 10.0
BUSY = 1.5  # runnable threads for each core from which on a machine counts as busy
REPEAT_FACTOR = 3.0  # a repeated run has so many times the deadline


def slowness(canary_seconds: Iterable[float]) -> float:
    """Return by how much to multiply every deadline, 1 to :data:`MOST`, from the times of the canary's runs."""
    return min(max(max(canary_seconds, default=0.0) / CANARY_SECONDS, 1.0), MOST)


def disturbance(expectation: Expectation, observation: Observation, *, load: float, cores: int) -> str:
    """Return why the run should be repeated, empty if it should not.

    A run is repeated if it reached its deadline without showing what is expected while the machine was busy. ``load``
    is the load average of the last minute. A real hang reaches the deadline of the repeated run as well.

    So is one that was ended by the dump of its Python stacks: faulthandler reads the frames of threads that run, which
    a debug build may find inconsistent (``_PyFrame_GetCode`` in ``pycore_frame.h`` asserts that they are not).
    """
    hangs = expectation.outcome is Outcome.HANG
    if hangs and observation.timed_out and observation.exit_code == -signal.SIGABRT:
        return "the dump of its Python stacks ended it"
    as_expected = hangs and (not expectation.waits or observation.waits == expectation.waits)
    if not observation.timed_out or as_expected or load < BUSY * cores:
        return ""
    return f"it reached its deadline of {observation.seconds:.0f} s at load {load:.1f} on {cores} cores"
