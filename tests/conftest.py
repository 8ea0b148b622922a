"""Skip the tests that this machine cannot run, and report each kind in one line."""

import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from python_tsan.console import make_console
from python_tsan.errors import ToolchainError
from python_tsan.paths import Layout
from python_tsan.plain_text import counted
from python_tsan.toolchain import choose_toolchain

REQUIRE_COMPILER = "PYTHON_TSAN_REQUIRE_COMPILER"


def pytest_addoption(parser):
    parser.addoption(
        "--network", action="store_true", help="run the tests that need PyPI or the distribution's archive"
    )
    parser.addoption("--builds", action="store_true", help="run the tests that build CPython, minutes for each")


def pytest_configure():
    # Users have none, and it hides what happens when Python flushes its output at the end.
    os.environ.pop("PYTHONUNBUFFERED", None)
    # A shell starts background commands with interrupts ignored, and children inherit that: the tests that interrupt a
    # command would wait forever.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    left_out = {}
    if not config.getoption("--network"):
        left_out["network"] = "run them with --network"
    if not config.getoption("--builds"):
        left_out["builds"] = "run them with --builds"
    if any(item.get_closest_marker("compiler") for item in items) and (reason := _why_no_compiler(config)):
        if os.environ.get(REQUIRE_COMPILER):
            # Without this, a broken canary would skip the tests that show it.
            raise pytest.UsageError(f"{REQUIRE_COMPILER} is set, and there is no working compiler: {reason}")
        left_out["compiler"] = reason
    gone = []
    for mark, reason in left_out.items():
        marked = [item for item in items if item.get_closest_marker(mark) and item not in gone]
        if marked:
            _say(config, f"{counted(len(marked), 'test')} marked {mark} skipped: {reason}")
            gone += marked
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


def _say(config, line):
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.ensure_newline()
        terminal.write_line(line)


def _why_no_compiler(config):
    """Return why no compiler of this machine passes the canary pair, or an empty string."""
    with TemporaryDirectory() as folder:
        # Probing takes seconds; pytest's cache remembers what was seen of a compiler that has not changed.
        root = config.cache.mkdir("python-tsan") if hasattr(config, "cache") else Path(folder)
        try:
            choose_toolchain(None, layout=Layout(root=root), console=make_console(quiet=True))
        except ToolchainError as error:
            return error.message
    return ""


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Return the address of a dask scheduler with two worker processes of one thread each."""
    distributed = pytest.importorskip("distributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("workers"))
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1", processes=True
        ) as made:
            yield made.scheduler_address.replace("tcp://", "dask://")
