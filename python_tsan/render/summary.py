"""Own the sentences that every rendering of a run says, word for word; leave their layout to each rendering."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.expectation import Outcome
from python_tsan.rate import describe_rate
from python_tsan.result.model import Status, Verdict, VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.result.model import LaneRecord, Result


def conclusion(run: Result) -> str:
    """Return the run in one sentence, as its exit code says it."""
    verdict = run.verdict
    if run.unfinished:
        return verdict.reason
    return f"{'NOT clean' if verdict.status is VerdictStatus.FINDINGS else verdict.status.value}: {verdict.reason}"


def replaced_line(run: Result) -> str:
    """Say which CPython was used in place of the requested one; empty when it is that one."""
    requested = run.provenance.replaces if run.provenance else ""
    built = next((record.interpreter for record in run.lanes if record.interpreter and record.interpreter.source), None)
    if not requested or built is None:
        return ""
    return f"CPython {requested} is unavailable; using {built.version}"


def lane_line(record: LaneRecord) -> str:
    """Say what a lane ran on, or why it did not run."""
    name = f"{record.lane.value} lane"
    if record.skipped:
        return f"{name}: skipped, {record.skipped}"
    if record.interpreter is None:
        return f"{name}: did not run"
    interpreter = record.interpreter
    kind = "CPython under ThreadSanitizer" if interpreter.instrumented else "stock CPython"
    threading = ", free-threaded" if interpreter.free_threaded else ""
    bindings = "".join(f", {library} {version}" for library, version in sorted(record.bindings.items()))
    return f"{name}: {kind} {interpreter.version}{threading}, {record.toolchain}{bindings}"


def tally(verdicts: Sequence[Verdict]) -> str:
    """Count verdicts by status: ``30 passed, 1 failed``."""
    counts = Counter(verdict.status for verdict in verdicts)
    return ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status]) or "no checks"


def detection_line(verdicts: Sequence[Verdict]) -> str:
    """Say how often the expected races were found, with a bound; empty when none was expected.

    Several checks may look at the same runs of a subject; those are counted once.
    """
    races = {
        observation.folder: verdict
        for verdict in verdicts
        if verdict.expectation.outcome is Outcome.RACE
        for observation in verdict.observations
    }
    checks = {id(verdict): verdict for verdict in races.values()}.values()
    runs = sum(verdict.runs for verdict in checks)
    if not runs:
        return ""
    return f"runs that showed the expected race: {describe_rate(sum(verdict.met for verdict in checks), runs)}"


def seen(verdict: Verdict) -> str:
    """Return ``k of n`` runs as expected, or a dash where nothing was run."""
    return f"{verdict.met} of {verdict.runs}" if verdict.runs else "-"


def wants_reading(verdict: Verdict) -> bool:
    """Tell whether a verdict's reason is to be shown: it went wrong, was not reached, or something was set aside."""
    return verdict.status is not Status.PASSED or any(one.known for one in verdict.observations)
