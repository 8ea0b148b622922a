"""Run the checks over one lane, inside pytest."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from python_tsan.checking.plugin import CheckPlugin
from python_tsan.checking.subjects import LaneSetup, Subjects
from python_tsan.errors import SubjectError, UsageError
from python_tsan.paths import checks_folder
from python_tsan.result.model import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# A reader of a log sees one table, not pytest's own report; and no plugin that happens to be installed takes part.
_QUIET = ("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:logging", "--capture=fd")
_ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


def run_checks(
    setup: LaneSetup,
    *,
    files: Sequence[str] = (),
    keyword: str = "",
    on_verdict: Callable[[Verdict], None] | None = None,
) -> tuple[Verdict, ...]:
    """Run the checks of one lane and return one verdict for each.

    ``files`` are names in ``checks/`` (all when empty), ``keyword`` is pytest's ``-k`` expression. Without either, a
    scenario that no check is about is a verdict too: it could not be judged.

    Raises :class:`UsageError` when nothing matches ``keyword`` or it is not an expression, :class:`SubjectError` when a
    check cannot be loaded, and ``KeyboardInterrupt`` when interrupted, after every subject has been ended.
    """
    subjects = Subjects(setup)
    plugin = CheckPlugin(setup, subjects, on_verdict=on_verdict)
    try:
        with _alone(checks_folder()):
            code = pytest.main([*_QUIET, *_arguments(files, keyword)], plugins=[plugin])
    finally:
        subjects.close()
    _raise_for(code, plugin, keyword)
    verdicts = tuple(plugin.verdicts)
    if keyword and "canary" not in keyword and not any(not one.check.startswith("canary/") for one in verdicts):
        raise UsageError(f"no check matches {keyword!r}", advice="run without -k to see the names of all checks")
    if files or keyword:
        return verdicts
    unchecked = (
        Verdict(
            check=f"unchecked/{name}",
            lane=setup.lane,
            status=Status.COULD_NOT_JUDGE,
            reason="the harness has this scenario, but no check is about it",
        )
        for name in plugin.unchecked()
    )
    return (*verdicts, *unchecked)


def _arguments(files: Sequence[str], keyword: str) -> list[str]:
    folder = checks_folder()
    places = [str(folder / name) for name in ("test_canary.py", *files)] if files else [str(folder)]
    # The canary is never filtered away: -k chooses among the others.
    chosen = ["-k", f"canary or ({keyword})"] if keyword else []
    # The project's own pytest settings are for its tests; "-c" with an empty file keeps them out. Without an end above
    # which nothing is looked at, the names of all folders on the way to the checks would match -k.
    ends = ["--rootdir", str(folder), "--confcutdir", str(folder), "-c", os.devnull]
    return [*places, *chosen, *ends, "--import-mode=importlib"]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep the caller's pytest settings and installed plugins out, and leave no module of a check behind.

    A module that stays in ``sys.modules`` would be taken for another lane's file of the same name.
    """
    settings = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": ""}
    before = {name: os.environ.get(name) for name in settings}
    modules = set(sys.modules)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in set(sys.modules) - modules:
            if Path(getattr(sys.modules[name], "__file__", None) or "").parent == folder:
                del sys.modules[name]
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _raise_for(code: int | pytest.ExitCode, plugin: CheckPlugin, keyword: str) -> None:
    if code == pytest.ExitCode.INTERRUPTED and not plugin.errors:
        raise KeyboardInterrupt
    if plugin.errors:
        raise SubjectError(f"a check could not be loaded: {plugin.errors[0]}", evidence=checks_folder(), page="checks")
    if code == pytest.ExitCode.USAGE_ERROR:
        raise UsageError(f"pytest cannot use the expression {keyword!r}", advice="see `pytest -h` for -k")
    if code not in _ENDED:
        raise SubjectError(f"pytest ended with {pytest.ExitCode(code).name}", evidence=checks_folder(), page="checks")
