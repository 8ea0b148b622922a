"""The lock holds every dependency of the project, with a hash, at a version that the bounds allow."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.lock import differences, installed_versions, normalized, pins

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements-lock.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def direct_requirements():
    yield from PROJECT["build-system"]["requires"]
    yield from PROJECT["project"]["dependencies"]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        yield from extra
    for group in PROJECT["dependency-groups"].values():
        yield from group


@pytest.mark.parametrize("text", sorted(set(direct_requirements())))
def test_each_requirement_is_locked_within_its_bounds(text):
    requirement = Requirement(text)
    versions = pins(LOCK).get(normalized(requirement.name), frozenset())
    assert versions, "run `nox -s lock`"
    assert all(requirement.specifier.contains(version) for version in versions)


def test_each_locked_version_has_a_hash():
    blocks = [block for block in LOCK.split("\n") if "==" in block and not block.startswith((" ", "#"))]
    assert len(blocks) > 50
    assert all(block.endswith("\\") for block in blocks)
    assert LOCK.count("--hash=sha256:") >= len(blocks)


def test_the_lock_names_no_address():
    assert "://" not in LOCK


def test_pins_are_read_with_their_markers():
    text = "# a==1\nA_b.c==1.0 \\\n    --hash=sha256:00\nnumpy==2.1 ; python_version < '3.12' \\\nnumpy==2.5 \\\n"
    assert pins(text) == {"a-b-c": frozenset({"1.0"}), "numpy": frozenset({"2.1", "2.5"})}


def test_differences_name_what_is_missing_and_what_is_newer():
    locked = {"a": frozenset({"1"}), "b": frozenset({"1", "2"})}
    assert list(differences(locked, {"a": "1", "b": "2"})) == []
    assert list(differences(locked, {"a": "3", "c": "1", "b": "4"})) == [
        "a 3 instead of 1",
        "b 4 instead of 1 or 2",
        "c 1 is not in the lock",
    ]


def test_the_project_itself_is_no_installed_dependency():
    names = installed_versions()
    assert "python-tsan" not in names
    assert "msgspec" in names
