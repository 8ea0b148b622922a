"""Run the checks of one lane in pytest, and turn each into one verdict.

A check is a test function in ``checks/``. It is marked with the group of scenarios that it is about, is called once for
each of them, and gets a :class:`Subject`. The canary's checks come first, on a
program with a race and its safe twin; unless all of them pass, nothing else is believed or even asserted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from python_tsan.checking.deadlines import slowness
from python_tsan.expectation import Expectation, Outcome
from python_tsan.harness.cases import CANARY, RECORDER
from python_tsan.plain_text import last_line
from python_tsan.result.judge.check import judge_check
from python_tsan.result.model import CLEAN, Observation, Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from python_tsan.checking.subjects import LaneSetup, Subjects
    from python_tsan.harness.registry import Scenario

MARK = "scenarios"
CANARY_GROUP = "canary"
GENERIC_FUNCTION = "test_scenario"
_FIXTURE = "subject"


@dataclass(kw_only=True)
class Subject:
    """One scenario as a check sees it: what is expected, what every run showed, and the verdict on that."""

    check: str
    scenario: Scenario
    setup: LaneSetup
    subjects: Subjects

    @cached_property
    def expectation(self) -> Expectation:
        """What the scenario must show on this interpreter."""
        return self.setup.expectation(self.scenario)

    @cached_property
    def observations(self) -> tuple[Observation, ...]:
        """What every run of the scenario showed. Waits for runs that are still under way."""
        return self.subjects.observations(self.scenario.name)

    @cached_property
    def verdict(self) -> Verdict:
        """The observations judged against the expectation."""
        return judge_check(
            self.check, self.setup.lane, self.expectation, self.observations, known=self.setup.known_races
        )

    def must_pass(self) -> None:
        """Fail the check, with the verdict's reason, unless every run did as expected."""
        if self.verdict.status is not Status.PASSED:
            pytest.fail(self.verdict.reason, pytrace=False)


class CheckPlugin:
    """A pytest plugin that owns the verdicts of one lane. ``on_verdict`` is called with each at once."""

    def __init__(
        self, setup: LaneSetup, subjects: Subjects, *, on_verdict: Callable[[Verdict], None] | None = None
    ) -> None:
        self.verdicts: list[Verdict] = []
        self.errors: list[str] = []
        self._setup = setup
        self._subjects = subjects
        self._on_verdict = on_verdict
        self._checked: dict[str, Subject] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Declare the marker."""
        config.addinivalue_line("markers", f"{MARK}(group, name=None, needs=()): what a check is about")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Call a marked check once for each of its scenarios that this lane has."""
        if _FIXTURE in metafunc.fixturenames:
            chosen = [scenario for scenario in self._setup.scenarios if self._is_about(metafunc, scenario)]
            # No scenario in this lane leaves no check, rather than one that pytest skips for want of parameters.
            metafunc.parametrize(_FIXTURE, [one.name for one in chosen], indirect=True)

    def _is_about(self, metafunc: pytest.Metafunc, scenario: Scenario) -> bool:
        marks = list(metafunc.definition.iter_markers(MARK))
        if not marks or not self._setup.covers(scenario):
            return False
        mark = marks[0]
        name = mark.kwargs.get("name")
        return scenario.group == mark.args[0] and name in (None, scenario.name)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Let -k know a check by the name under which its verdict is shown."""
        item.extra_keyword_matches.add(check_name(item))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the canary first, for all names of files."""
        # Of a check that has no scenario in this lane, pytest makes an item without one.
        asks = [_FIXTURE in getattr(item, "fixturenames", ()) for item in items]
        named = [isinstance(_parameter(item), str) for item in items]
        items[:] = [item for item, needs, has in zip(items, asks, named, strict=True) if has or not needs]
        items.sort(key=lambda item: not _is_canary(item))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the canary alone; the others follow once it is trusted."""
        canary = [scenario.name for scenario in self._setup.scenarios if self._is_canary(scenario)]
        self._subjects.start(canary)
        self._chosen = [_scenario_name(item) for item in session.items if not _is_canary(item)]

    def _is_canary(self, scenario: Scenario) -> bool:
        return scenario.group == CANARY_GROUP and self._setup.covers(scenario)

    @cached_property
    def distrust(self) -> str:
        """Say why the detector cannot be trusted in this run, or nothing: the canary pair judged, once."""
        pair = [scenario for scenario in self._setup.scenarios if self._is_canary(scenario)]
        outcomes = {scenario.expect.outcome for scenario in pair}
        if not {Outcome.RACE, Outcome.CLEAN} <= outcomes:
            return "the harness has no canary pair, so nothing shows that the detector works"
        if failed := self._failed(pair):
            return failed
        self._subjects.slowness = slowness(
            one.seconds for scenario in pair for one in self._subjects.observations(scenario.name)
        )
        ready = [name for name in self._chosen if not self._setup.missing(self._setup.scenario(name))]
        self._subjects.start(self._hanging_first(ready))
        return ""

    @cached_property
    def recorder_distrust(self) -> str:
        """Say why the lock recorder cannot be trusted in this run, or nothing: its own canary pair judged, once."""
        pair = [scenario for scenario in self._setup.scenarios if scenario.name in CANARY]
        if len(pair) < len(CANARY):
            return "the harness has no canary pair for locks, so nothing shows that the recorder works"
        return self._failed(pair)

    def _failed(self, pair: list[Scenario]) -> str:
        for scenario in pair:
            seen = self._subjects.observations(scenario.name)
            verdict = judge_check(scenario.name, self._setup.lane, scenario.expect, seen)
            if verdict.status is not Status.PASSED:
                return f"the canary failed: {scenario.name}: {verdict.reason}"
        return ""

    def _distrust_of(self, scenario: Scenario) -> str:
        """Say why nothing can be concluded from what a scenario shows; a canary is judged by itself."""
        if scenario.group == CANARY_GROUP:
            return ""
        recorded = RECORDER in scenario.needs and scenario.name not in CANARY
        return self.distrust or (self.recorder_distrust if recorded else "")

    def _hanging_first(self, names: list[str]) -> list[str]:
        # What sleeps for seconds, then what computes longest, so that the last subject to end is a short one.
        def order(name: str) -> tuple[bool, float]:
            scenario = self._setup.scenario(name)
            return self._setup.expectation(scenario).outcome is not Outcome.HANG, -scenario.deadline_seconds

        return sorted(dict.fromkeys(names), key=order)

    @pytest.fixture
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        """Give a check its scenario; skip the check if this interpreter lacks what the scenario needs."""
        scenario = self._setup.scenario(request.param)
        subject = Subject(check=check_name(request.node), scenario=scenario, setup=self._setup, subjects=self._subjects)
        self._checked[request.node.nodeid] = subject
        mark = next(request.node.iter_markers(MARK))
        missing = self._setup.missing(scenario) or self._setup.lacks(mark.kwargs.get("needs", ()))
        if missing:
            pytest.skip(missing)
        if distrust := self._distrust_of(scenario):
            pytest.fail(distrust, pytrace=False)
        return subject

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn the outcome of a check into its verdict, once."""
        report = yield
        decided = report.when == "call" or (report.when == "setup" and report.outcome != "passed")
        if decided:
            verdict = self._verdict(item, report)
            self.verdicts.append(verdict)
            if self._on_verdict:
                self._on_verdict(verdict)
        return report

    def _verdict(self, item: pytest.Item, report: pytest.TestReport) -> Verdict:
        subject = self._checked.get(item.nodeid)
        if report.when == "setup" or subject is None:
            expected = (self._setup.expected(subject.scenario) or subject.scenario.expect) if subject else CLEAN
            return Verdict(
                check=check_name(item),
                lane=self._setup.lane,
                status=Status.SKIPPED if report.outcome == "skipped" else Status.COULD_NOT_JUDGE,
                expectation=expected,
                reason=_message(report),
            )
        if report.outcome == "failed" and subject.verdict.status is Status.PASSED:
            # The scenario did as it says of itself, but the check knows more.
            return replace(subject.verdict, status=Status.FAILED, reason=_message(report))
        return subject.verdict

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what could not be collected: a check that is not run must not look like one that passed."""
        if report.failed:
            self.errors.append(f"{report.nodeid}: {last_line(report.longreprtext)}")

    def unchecked(self) -> list[str]:
        """Return the scenarios of this lane that no check is about."""
        checked = {subject.scenario.name for subject in self._checked.values()}
        return [one.name for one in self._setup.scenarios if self._setup.covers(one) and one.name not in checked]


def check_name(item: pytest.Item) -> str:
    """Return a check's name: its file's subject and the scenario, and its own name where it says more than that."""
    subject = item.path.stem.removeprefix("test_")
    name = f"{subject}/{_scenario_name(item).removeprefix(f'{subject}_')}"
    function = getattr(item, "originalname", item.name)
    return name if function == GENERIC_FUNCTION else f"{name}: {function.removeprefix('test_').replace('_', ' ')}"


def _scenario_name(item: pytest.Item) -> str:
    name = _parameter(item)
    return item.name if name is None else str(name)


def _parameter(item: pytest.Item) -> object:
    call = getattr(item, "callspec", None)
    return call.params.get(_FIXTURE) if call else None


def _is_canary(item: pytest.Item) -> bool:
    return any(mark.args[:1] == (CANARY_GROUP,) for mark in item.iter_markers(MARK))


def _message(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    return text.strip().splitlines()[0].removeprefix("AssertionError: ").removeprefix("Failed: ") if text else ""
