"""GIL releases in the original program, in which the main thread imports numpy first, then every worker."""

from itertools import pairwise

import pytest

from python_tsan.checking.gil_trace import trace_scenario
from python_tsan.gil.analysis import explain_trace, holders, imports_of
from python_tsan.gil.phases import Phase
from python_tsan.gil.summary import count_phases
from python_tsan.gil.trace import GilCall

pytestmark = pytest.mark.scenarios("numpy", name="embed_test", needs=["gil"])

MAIN = 0
NUMPY = "/site-packages/numpy"  # "numpy" alone is in the name of an interpreter with one built from source
# What Python does between reading a .pyc or .py file and running it, without releasing the GIL.
COMPUTES = {"_compile_bytecode", "SourceLoader.source_to_code", "_call_with_frames_removed"}


@pytest.fixture
def releases(subject):
    """Every release of one run. The working directory is on the module path."""
    trace = trace_scenario(subject.setup, subject.scenario.name, packages=".")
    assert trace.exit_code in {0, 66}, f"the scenario ended with {trace.exit_code} under the tracer"
    return explain_trace(trace)


def test_the_first_import_releases_the_gil_in_every_phase_of_finding_and_reading(releases):
    """The main thread's import of numpy stats, lists, gets the working directory, opens and reads."""
    found = imports_of(releases, "numpy")
    counts = count_phases(found)
    assert {one.event.thread for one in found} == {MAIN}, "another thread imported numpy first"
    for phase in (Phase.PATH_STAT, Phase.LISTING, Phase.GETCWD, Phase.OPEN, Phase.READ):
        assert counts.get(phase.value), f"no release for {phase.value}: {counts}"


def test_the_first_release_of_the_import_is_its_first_stat(releases):
    """Looking for numpy begins with importlib's _path_stat."""
    first = imports_of(releases, "numpy")[0]
    frames = first.process.stack(first.event.node)
    assert first.phase is Phase.PATH_STAT, f"the first release is for {first.phase.value}"
    assert frames[0].function == "_path_stat", f"the first release is in {frames[0].function}"


def test_an_import_already_done_does_not_release_the_gil(releases):
    """No worker releases the GIL in an import."""
    inside = [one for one in releases if one.event.thread != MAIN and one.meaning.module]
    assert not inside, f"a worker released the GIL while it imported {inside[0].meaning.module}"
    assert any(one.event.thread != MAIN for one in releases), "no worker was seen at all"


def test_arange_releases_the_gil(releases):
    """Of the numpy functions that the workers call, only arange releases the GIL, as in the original report."""
    inside = [
        one for one in releases if one.event.thread != MAIN and NUMPY in one.process.sites[one.event.site].library
    ]
    assert inside, "no worker released the GIL inside numpy"
    others = {one.function for one in inside if "arange" not in one.function.lower()}
    assert not others, f"also in {', '.join(sorted(others))}"


def test_one_thread_holds_the_gil_at_a_time(releases):
    """A release or an acquisition that the tracer missed would show as two holders at once."""
    spans = holders(releases[0].process)
    overlaps = [(one, other) for one, other in pairwise(spans) if not one[2] or one[2] > other[1]]
    assert not overlaps, f"{len(overlaps)} of {len(spans)} spans overlap the next one"
    assert len({thread for thread, _, _ in spans}) > 1, "only one thread ever held the GIL"


def test_unmarshalling_compiling_and_loading_keep_the_gil(releases):
    """marshal.loads, compile, dlopen and an extension's PyInit never release the GIL."""
    found = [one for one in imports_of(releases, "numpy") if one.event.release_call != GilCall.INTERNAL]
    computing = [one for one in found if one.process.stack(one.event.node)[0].function in COMPUTES]
    assert not computing, f"{computing[0].function} released the GIL"
    assert not [one for one in found if one.phase is Phase.DLOPEN], "loading an extension released the GIL"
    assert any("multiarray_umath" in one.meaning.module for one in found), "no extension was loaded"
