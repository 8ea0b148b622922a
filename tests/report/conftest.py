import pytest
from report_samples import GOLDEN, NASTY, renamed, report_on


@pytest.fixture
def golden():
    """Return paths of golden logs of clang, by name."""
    return lambda *names: [str(GOLDEN / "clang-19" / f"{name}.log") for name in names]


@pytest.fixture
def report_of(golden):
    """Return the report of some golden logs of clang; further facts by name."""
    return lambda *names, **facts: report_on(*golden(*names), **facts)


@pytest.fixture
def everything():
    """Return the report of all golden logs of both compilers."""
    return report_on(GOLDEN)


@pytest.fixture(scope="session")
def one_race():
    """Return a small report that all examples of a property share."""
    return report_on(GOLDEN / "gcc-12" / "race_tls.log")


@pytest.fixture
def nasty(report_of):
    """Return a report of one race between functions whose name is full of markup."""
    return renamed(report_of("race_global"), NASTY)
