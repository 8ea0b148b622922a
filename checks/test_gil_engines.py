"""The preloaded tracer compared with a debugger: a package of two files and an extension, cold and warm."""

import os
from pathlib import Path

import pytest

from python_tsan.checking.gil_trace import trace_import
from python_tsan.errors import ToolchainError
from python_tsan.gil.analysis import explain_trace, imports_of
from python_tsan.gil.engine_diff import compare
from python_tsan.gil.phases import Phase
from python_tsan.gil.registry import ANY_DEBUGGER, find_engine
from python_tsan.gil.summary import count_phases

pytestmark = pytest.mark.scenarios("gil", name="counter_guarded", needs=["gil"])

PACKAGE = "traced_package"
EXTENSIONS = ("_queue", "_bisect", "_heapq")
FIRST_WITH_FRAMES = (3, 13)  # a debugger reads Python frames from this version on


@pytest.fixture
def engine():
    """Return the name of the debugger on this machine."""
    try:
        return find_engine(ANY_DEBUGGER, os.environ).name
    except ToolchainError:
        pytest.skip("no debugger was found to compare the tracer with")


@pytest.fixture
def package(subject, tmp_path):
    """Return a function that makes a folder with the package in it, which imports a second file and an extension."""
    dynamic = [path.name for path in Path(subject.setup.variables["PYTHONHOME"]).glob("lib/python3*/lib-dynload/*")]
    extension = next((name for name in EXTENSIONS if any(one.startswith(f"{name}.") for one in dynamic)), None)
    if extension is None:
        pytest.skip("this Python has its extensions built in")

    def make(name):
        folder = tmp_path / name / PACKAGE
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"import os; os.stat('/')\nfrom . import second\nimport {extension}\n")
        (folder / "second.py").write_text("VALUE = 1\n")
        return folder.parent

    return make


def test_both_engines_see_the_same_cold_and_warm(subject, engine, package):
    """Counts by phase are equal, and so are call site and frames of each release; only a cold import writes a .pyc."""
    ours, theirs = package("preload"), package("debugger")
    for warm in (False, True):
        preloaded = trace_import(subject.setup, ours, PACKAGE)
        debugged = trace_import(subject.setup, theirs, PACKAGE, engine=engine)
        assert preloaded.exit_code == debugged.exit_code == 0, "the import failed"
        found, seen = (imports_of(explain_trace(trace), PACKAGE) for trace in (preloaded, debugged))
        differences = [one.difference for one in compare(preloaded.processes[0], debugged.processes[0])]
        assert not any(differences), f"{engine} differs: {differences}"
        counts = count_phases(found)
        if preloaded.processes[0].record.release >= FIRST_WITH_FRAMES:
            assert counts == count_phases(seen), f"{engine} counts {count_phases(seen)}, preload {counts}"
        for phase in (Phase.PATH_STAT, Phase.LISTING, Phase.OPEN, Phase.READ, Phase.BODY):
            assert counts.get(phase.value), f"no release for {phase.value}: {counts}"
        assert not counts.get(Phase.DLOPEN.value), "loading an extension released the GIL"
        assert bool(counts.get(Phase.PYC_WRITE.value)) is not warm, f"a .pyc is written once: {counts}"
