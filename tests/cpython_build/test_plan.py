"""The plan: what it holds for each version, family and build, and what its key depends on."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from fake_build import make_toolchain, settings_for

from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.plan import Placeholder
from python_tsan.cpython.planning import make_plan
from python_tsan.errors import UsageError
from python_tsan.toolchain.model import Candidate, Family
from python_tsan.version import release_of

GOLDEN = Path(__file__).parent / "golden"
GCC = Candidate(
    family=Family.GCC,
    cc=Path("/usr/bin/gcc-12"),
    cxx=Path("/usr/bin/g++-12"),
    version="12.2.0",
    target="x86_64-linux-gnu",
)


def record(version):
    return SourceRecord(version=version, origin="test", sha256="ab" * 32)


def plan_of(tmp_path, version="3.13.5", *, gcc=False, libc="glibc-2.36", **changes):
    toolchain = make_toolchain(candidate=GCC, linker=None) if gcc else make_toolchain()
    return make_plan(settings_for(tmp_path, **changes), record(version), toolchain, libc=libc)


@pytest.mark.parametrize(
    ("version", "gcc", "free_threaded"),
    [
        ("3.11.2", False, False),
        ("3.12.11", False, False),
        ("3.12.11", True, False),
        ("3.13.5", False, False),
        ("3.13.5", True, True),
        ("3.14.0", False, True),
        ("3.15.0a1", False, False),
    ],
)
def test_plan_is_the_golden_one(tmp_path, version, gcc, free_threaded):
    plan = plan_of(tmp_path, version, gcc=gcc, free_threaded=free_threaded)
    golden = GOLDEN / f"{version}{'t' if free_threaded else ''}-{'gcc' if gcc else 'clang'}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(plan.describe() + "\n")
    assert plan.describe() + "\n" == golden.read_text()


def test_free_threading_came_with_3_13(tmp_path):
    with pytest.raises(UsageError, match=r"3\.12\.11 has no free-threaded build"):
        plan_of(tmp_path, "3.12.11", free_threaded=True)  # the version of a named source is known only now


def test_key_does_not_depend_on_where_and_how_fast_it_is_built(tmp_path):
    one = plan_of(tmp_path / "a", jobs="1")
    other = plan_of(tmp_path / "b", jobs="64", compiler_cache="auto")
    assert one.key == other.key


def test_key_depends_on_everything_that_makes_another_interpreter(tmp_path):
    base = make_toolchain()
    newer = dataclasses.replace(base.candidate, version="19.1.8")
    plans = {
        "base": plan_of(tmp_path),
        "libc": plan_of(tmp_path, libc="glibc-2.41"),
        "gil": plan_of(tmp_path, free_threaded=True),
        "release": plan_of(tmp_path, release=True),
        "family": plan_of(tmp_path, gcc=True),
        "runtime": make_plan(
            settings_for(tmp_path), record("3.13.5"), make_toolchain(runtime_id="0" * 64), libc="glibc-2.36"
        ),
        "compiler": make_plan(
            settings_for(tmp_path), record("3.13.5"), make_toolchain(candidate=newer), libc="glibc-2.36"
        ),
        "linker": make_plan(settings_for(tmp_path), record("3.13.5"), make_toolchain(linker=None), libc="glibc-2.36"),
        "source": make_plan(
            settings_for(tmp_path),
            dataclasses.replace(record("3.13.5"), sha256="cd" * 32),
            make_toolchain(),
            libc="glibc-2.36",
        ),
    }
    assert len({plan.key for plan in plans.values()}) == len(plans)


def test_key_does_not_depend_on_how_the_source_was_reached(tmp_path):
    reached = SourceRecord(version="3.13.5", origin="elsewhere", sha256="ab" * 32, replaces="3.12.11")
    plan = make_plan(settings_for(tmp_path), reached, make_toolchain(), libc="glibc-2.36")
    assert plan.key == plan_of(tmp_path).key


def test_names_of_the_built_files(tmp_path):
    plan = plan_of(tmp_path)
    assert (plan.executable_name, plan.abi_name) == ("python3.13", "3.13d")
    threaded = plan_of(tmp_path, free_threaded=True)
    assert (threaded.executable_name, threaded.abi_name) == ("python3.13", "3.13td")
    assert threaded.key.startswith("3.13.5t-clang-19-")


def test_a_release_is_built_as_users_run_it(tmp_path):
    plan, debug = plan_of(tmp_path, release=True, free_threaded=True), plan_of(tmp_path, free_threaded=True)
    assert (plan.debug, debug.debug) == (False, True)
    assert plan.abi_name == "3.13t"
    assert plan.key.startswith("3.13.5t-release-clang-19-")
    differs = set(plan.configure.argv) ^ set(debug.configure.argv)
    assert differs == {"--with-pydebug", "OPT=", "OPT=-DNDEBUG"}
    assert (plan.make, plan.edits) == (debug.make, debug.edits)


def test_steps_are_filled_in_and_nothing_is_left_open(tmp_path):
    plan = plan_of(tmp_path)
    places = {place: f"<{place.value}>" for place in Placeholder}
    configure = plan.configure.command(places)
    assert configure[0] == "<source>/configure"
    assert "--prefix=<prefix>" in configure
    for step in plan.steps:
        assert not any("{" in part for part in step.command(places))
        assert all(value for value in step.environment(places).values())
    with pytest.raises(KeyError):
        plan.configure.command({})


def test_the_tracers_need_is_kept(tmp_path):
    # Calls inside libpython have to go through the PLT, so that a preloaded library can see them.
    assert "semantic-interposition" not in plan_of(tmp_path).describe()


def test_release():
    assert release_of("3.15.0a1") == (3, 15)
