"""A check that traces the GIL, on a Python that cannot be traced."""

from types import SimpleNamespace

import pytest

from python_tsan.checking import gil_trace
from python_tsan.expectation import Lane
from python_tsan.gil.engine import BlindError


@pytest.fixture
def blind(monkeypatch):
    """Have an engine that sees nothing."""

    def trace(*_, **__):
        raise BlindError("calls of the Python in /p cannot be intercepted")

    monkeypatch.setattr(gil_trace, "find_engine", lambda *_: SimpleNamespace(trace=trace))


@pytest.mark.usefixtures("blind")
def test_the_stock_python_of_a_distribution_skips_the_check_and_ours_does_not(lane_setup, tmp_path):
    for trace in (
        lambda setup: gil_trace.trace_import(setup, tmp_path, "json"),
        lambda setup: gil_trace.trace_scenario(setup, "counter_guarded"),
    ):
        variables = {"PYTHONHOME": "/usr"}
        with pytest.raises(pytest.skip.Exception, match="cannot be intercepted"):
            trace(lane_setup(lane=Lane.FAST, variables=variables))
        with pytest.raises(BlindError):
            trace(lane_setup(lane=Lane.FULL, variables=variables))
