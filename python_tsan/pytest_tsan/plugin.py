"""The pytest plugin: its options, its marker, and marked tests in processes of their own.

Every pytest in an environment that has python-tsan loads this module, so that it imports pytest and a few words until a
test is marked.
"""

from __future__ import annotations

import os

import pytest

from python_tsan.pytest_tsan.words import AUTO, CHILD_VARIABLE, HINT, MARK, OFF, REQUIRE, lacks_runtime

_DECLARATION = (
    f"{MARK}(expect='clean', repeat=1, timeout=300, detect=''): run the test in a process of its own under "
    "ThreadSanitizer, and fail with what it finds; expect is clean, race, hang, a rule or a file, timeout is in "
    "seconds for each of repeat runs, detect leaves out all but these: races, locks, capi"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--tsan`` and ``--tsan-python``."""
    group = parser.getgroup("tsan", "tests marked tsan (python-tsan)")
    group.addoption(
        "--tsan",
        choices=(AUTO, REQUIRE, OFF),
        default=AUTO,
        help="auto: skip marked tests where nothing can run them under ThreadSanitizer (default); "
        "require: fail them there; off: run them as ordinary tests",
    )
    group.addoption("--tsan-python", metavar="PATH", default="", help="the Python that runs marked tests (this one)")
    parser.addini("tsan_python", "the Python that runs tests marked tsan", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _DECLARATION)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Say what to do about a file that imports an instrumented module in the process that collects."""
    if report.failed and lacks_runtime(report.longreprtext):
        report.sections.append(("python-tsan", HINT))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put each marked test, once it is known which ones are selected, into a process of its own."""
    if os.environ.get(CHILD_VARIABLE) or config.getoption("tsan") == OFF:
        return
    if any(item.get_closest_marker(MARK) for item in items):
        from python_tsan.pytest_tsan.item import isolated  # noqa: PLC0415 -- only where a test is marked

        items[:] = [isolated(item) if item.get_closest_marker(MARK) else item for item in items]
