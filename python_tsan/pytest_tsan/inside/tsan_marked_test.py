"""A pytest plugin for the process of one marked test: it writes how the test ended into the folder that it is given."""

from __future__ import annotations

import json
import os

import pytest

MARK = "tsan"
FOLDER = os.environ["PYTHON_TSAN_MARKED_TEST"]


class Ending:
    """How the test ended: the first thing that was not passed counts."""

    def __init__(self) -> None:
        self.outcome, self.text = "", ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of the call, and of set-up and tear-down where they went wrong."""
        if self.outcome in ("", "passed") and (report.when == "call" or report.outcome != "passed"):
            self.outcome = report.outcome
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            crash = getattr(report.longrepr, "reprcrash", None)
            # The summary shows the first line.
            self.text = f"{crash.message}\n\n{reason}" if crash else reason.removeprefix("Skipped: ")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what went wrong while the test was looked for."""
        if report.failed and not self.outcome:
            self.outcome, self.text = "failed", report.longreprtext

    def pytest_sessionfinish(self) -> None:
        """Write it down, under the number of this process."""
        with open(os.path.join(FOLDER, f"{os.getpid()}.json"), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
            json.dump({"outcome": self.outcome, "text": self.text}, file)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, for python-tsan itself need not be installed here."""
    config.addinivalue_line("markers", f"{MARK}: runs under ThreadSanitizer, and this is the process")
    config.pluginmanager.register(Ending())
