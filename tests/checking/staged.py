"""Scenarios as a harness would list them."""

from python_tsan.expectation import Expectation, ExpectedFinding, Lane, Outcome
from python_tsan.harness.registry import Scenario

RACES = Expectation(
    outcome=Outcome.RACE,
    findings=(
        ExpectedFinding(
            kind="data race", location="g_racy_counter", function="increment_unguarded", accesses=("read", "write")
        ),
    ),
)
CLEAN = Expectation(outcome=Outcome.CLEAN)


def scenario(name, group, expect=CLEAN, *, needs=(), deadline=20.0, lanes=(Lane.FAST, Lane.FULL), repeats=1, case=""):
    """Return a scenario as the harness would list it."""
    return Scenario(
        name=name,
        group=group,
        summary=f"{name}.",
        file=f"native/scenarios/{group}.cpp",
        lanes=lanes,
        needs=needs,
        deadline_seconds=deadline,
        repeats=repeats,
        twin="",
        case=case,
        expect=expect,
    )


CANARY = (scenario("canary_race", "canary", RACES), scenario("canary_safe", "canary"))
