"""Define the item that replaces a marked test and fails with what was found; :mod:`.run` runs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from python_tsan.config import load_settings
from python_tsan.console import make_console
from python_tsan.errors import PythonTsanError, ToolchainError
from python_tsan.paths import Layout
from python_tsan.pytest_tsan.interpreter import MarkedTestPython, find_python
from python_tsan.pytest_tsan.mark import read_mark
from python_tsan.pytest_tsan.run import Call, run_isolated
from python_tsan.pytest_tsan.words import MARK, REQUIRE
from python_tsan.storage import expanded

if TYPE_CHECKING:
    from python_tsan.config import Settings

CACHE_FOLDER = "python-tsan"
PYTHON_KEY = pytest.StashKey[MarkedTestPython | str]()


class MarkedTestFailure(Exception):  # noqa: N818 -- what pytest shows of it is its text, never its name
    """A marked test that did not end as it must; the text is all that is to be shown."""


class MarkedTest(pytest.Item):
    """A marked test as this process sees it: no fixture of it is set up here, and nothing of it is imported twice."""

    original: pytest.Item
    obj: object  # conditions of skipif and xfail see the module's names through the test's function

    def runtest(self) -> None:
        """Run it in a process of its own and judge it."""
        config = self.config
        python = _python(config)
        if isinstance(python, str):
            if config.getoption("tsan") == REQUIRE:
                raise MarkedTestFailure(python)
            raise _skipped(python)
        ended = run_isolated(self._call(), python, layout=_layout(config))
        if ended.skipped:
            raise _skipped(ended.text)
        if ended.failed:
            raise MarkedTestFailure(ended.text)
        for line in ended.blind:
            self.warn(pytest.PytestWarning(f"{self.nodeid}: {line}"))

    def _call(self) -> Call:
        config = self.config
        mark = next(self.iter_markers(MARK))
        return Call(
            test=f"{self.path}::{self.nodeid.partition('::')[2]}",
            options=read_mark(mark.args, mark.kwargs),
            root=config.rootpath,
            settings_file=config.inipath,
            import_mode=str(config.getoption("importmode")),
            output=_output(config, self.nodeid),
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401
        """Show findings and errors of python-tsan as they are written, anything else as pytest does."""
        error = excinfo.value
        if isinstance(error, PythonTsanError):
            advice = f"\nwhat to do: {error.advice}" if error.advice else ""
            return f"python-tsan: {error.message}{advice}"
        return str(error) if isinstance(error, MarkedTestFailure) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Say where the test is, as the test itself does."""
        return self.original.reportinfo()


def isolated(original: pytest.Item) -> MarkedTest:
    """Return the item that replaces a marked test, under the same name and with the same marks."""
    item: MarkedTest = MarkedTest.from_parent(cast("pytest.Collector", original.parent), name=original.name)
    item.original = original
    item.own_markers[:] = original.own_markers
    item.keywords.update(original.keywords)
    item.extra_keyword_matches |= original.extra_keyword_matches
    item.obj = getattr(original, "obj", None)
    return item


def _skipped(reason: str) -> BaseException:
    return pytest.skip.Exception(reason, _use_item_location=True)


def _python(config: pytest.Config) -> MarkedTestPython | str:
    """Return the Python for marked tests, or why this machine has none; looked for once.

    Raises :class:`UsageError` when one was named that is not there.
    """
    if PYTHON_KEY not in config.stash:
        try:
            found: MarkedTestPython | str = find_python(
                _named(config), _settings(config), layout=_layout(config), console=make_console(quiet=True)
            )
        except ToolchainError as error:
            found = f"no ThreadSanitizer for marked tests: {error.message} ({error.advice})"
        config.stash[PYTHON_KEY] = found
    return config.stash[PYTHON_KEY]


def _named(config: pytest.Config) -> str:
    """Return the path of the named Python, relative to the current folder or to the settings file that names it."""
    given, written = Path(config.getoption("tsan_python")), Path(config.getini("tsan_python"))
    if given.name:
        return str(config.invocation_params.dir / expanded(given))
    return str(config.rootpath / expanded(written)) if written.name else ""


def _settings(config: pytest.Config) -> Settings:
    return load_settings({}, env=os.environ, cwd=config.rootpath)


def _layout(config: pytest.Config) -> Layout:
    return Layout(root=_settings(config).cache)


def _output(config: pytest.Config, nodeid: str) -> Path:
    """Return the folder for what a test shows. Without pytest's cache, it is in the project's build folder."""
    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in nodeid)[-120:]
    cache = getattr(config, "cache", None)
    base = Path(cache.mkdir(CACHE_FOLDER)) if cache else config.rootpath / "build" / CACHE_FOLDER
    return base / name
