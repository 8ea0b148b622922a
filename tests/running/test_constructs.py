"""Findings of what a compiler or its library adds to user code are set aside; a race of the user is kept."""

import os
import subprocess
from pathlib import Path

import pytest

from python_tsan.console import make_console
from python_tsan.paths import Layout
from python_tsan.result.blind_spots import constructs
from python_tsan.result.unlikely import construct_of
from python_tsan.toolchain import survey
from python_tsan.tsan.parser import parse_log

pytestmark = [pytest.mark.compiler, pytest.mark.slow]
PROGRAMS = Path(__file__).with_name("programs")
RUNS = 5
# The variable of the race that each program has with RACY; an object on the heap has no name.
RACED = {"coverage_counters": "g_raced", "atomic_shared_ptr": ""}


@pytest.fixture(scope="module")
def toolchains(tmp_path_factory):
    found = survey(layout=Layout(root=tmp_path_factory.mktemp("cache")), console=make_console(quiet=True)).probes
    return {probe.toolchain.candidate.family.value: probe.toolchain for probe in reversed(found) if probe.toolchain}


def findings(toolchain, folder, name, *, racy):
    """Return, of each run, the findings by construct, None for those of no construct."""
    flags = ["-std=c++20", "-g", "-O1", "-fsanitize=thread", "-pthread", *(["-DRACY"] if racy else [])]
    flags += ["--coverage"] if name == "coverage_counters" else []
    command = [toolchain.candidate.cxx, *flags, PROGRAMS / f"{name}.cpp", "-o", "program"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    seen = []
    for number in range(RUNS):
        env = os.environ | {"TSAN_OPTIONS": f"log_path={folder / f'tsan{number}'}:atexit_sleep_ms=20"}
        run = [*toolchain.launcher, folder / "program"]
        assert subprocess.run(run, cwd=folder, env=env, check=False, timeout=60).returncode in {0, 66}
        logs = [parse_log(log.read_text(), log.name) for log in folder.glob(f"tsan{number}.*")]
        seen.append([(construct_of(each, constructs()), each) for log in logs for each in log.findings])
    return seen


@pytest.mark.parametrize("racy", [False, True])
@pytest.mark.parametrize("name", RACED)
@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_the_construct_is_set_aside_and_the_race_is_kept(toolchains, tmp_path, family, name, racy):
    if family not in toolchains:
        pytest.skip(f"no working {family}")
    runs = findings(toolchains[family], tmp_path, name, racy=racy)
    known = "gcov-counters" if name == "coverage_counters" else "atomic-shared-ptr"
    assert {spot.name for run in runs for spot, _ in run if spot} <= {known}
    kept = [{finding.location.name for spot, finding in run if not spot} for run in runs]
    assert kept == [{RACED[name]} if racy else set()] * RUNS
