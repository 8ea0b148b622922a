"""CPython's own known races: each is still there, and the suppression that this package ships for it still hides it."""

import pytest

from python_tsan.cpython.known_races import SHOWN_BY_TESTS
from python_tsan.expectation import Outcome
from python_tsan.tsan.suppressions import hides

pytestmark = pytest.mark.scenarios("defects")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()


def _findings(subject, scenario):
    return [finding for each in subject.subjects.observations(scenario.name) for finding in each.findings]


def test_a_shipped_suppression_hides_it(subject):
    """It fails no run of a user's program."""
    seen = [finding for observation in subject.observations for finding in observation.findings]
    bare = [finding for finding in seen if not any(hides(entry, finding) for entry in subject.setup.known_races)]
    assert not bare, f"no shipped suppression hides {bare[0].summary}"


@pytest.mark.scenarios("defects", name="worker_comes_back_too_late")
def test_no_shipped_suppression_is_idle(subject):
    """Each shipped suppression still matches its race; otherwise it could only hide new ones."""
    setup = subject.setup
    shown = [one for one in setup.scenarios if one.group == "defects" and not setup.missing(one)]
    if setup.known_races and not any(setup.expectation(one).outcome is Outcome.RACE for one in shown):
        pytest.skip("no race of CPython itself is shown by this version and compiler")
    findings = [finding for scenario in shown for finding in _findings(subject, scenario)]
    due = [entry for entry in setup.known_races if str(entry) not in SHOWN_BY_TESTS]
    idle = [entry for entry in due if not any(hides(entry, finding) for finding in findings)]
    assert not idle, f"{idle[0]} hides nothing any more"
