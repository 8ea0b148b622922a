"""The table of pins and the order in which releases replace one another."""

import re
from itertools import pairwise

import pytest

from python_tsan.config import DEFAULT_PYTHON
from python_tsan.cpython.pins import Release, candidates, load_releases, nearness
from python_tsan.errors import ExitCode, FetchError
from python_tsan.setting_values import NEWEST_MINOR, OLDEST_MINOR
from python_tsan.version import parse_version


def releases(*versions):
    return {version: Release(version=version, archives=()) for version in versions}


def versions(found):
    return [release.version for release in found]


def test_every_pin_is_well_formed():
    table = load_releases()
    for version, release in table.items():
        parse_version(version)
        assert OLDEST_MINOR <= int(version.split(".")[1]) <= NEWEST_MINOR
        assert release.archives or release.commit
        for archive in release.archives:
            assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256)
            assert archive.size is None or 15e6 < archive.size < 40e6
            assert archive.name in {f"Python-{version}.tar.xz", f"Python-{version}.tgz"}
        assert re.fullmatch(r"[0-9a-f]{40}|", release.commit)
        assert set(release.suites) <= {"debian", "ubuntu"}


def test_no_two_pins_share_a_hash():
    hashes = [archive.sha256 for release in load_releases().values() for archive in release.archives]
    assert len(hashes) == len(set(hashes))


def test_the_default_and_each_minor_are_pinned():
    table = load_releases()
    assert table[DEFAULT_PYTHON].archives[0].sha256.startswith("c30bb24b7f1e9a19")
    assert {release.minor for release in table.values()} == {
        f"3.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1)
    }


def test_known_facts_of_two_pins():
    table = load_releases()
    trixie = table["3.13.5"]
    assert trixie.archives[0].size == 22856016
    assert trixie.suites["debian"] == ("trixie",)
    assert trixie.tag == "v3.13.5"
    bookworm = table["3.11.2"]
    found = bookworm.archive_with("2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849")
    assert found is not None
    assert found.name == "Python-3.11.2.tgz"
    assert bookworm.archive_with("0" * 64) is None


def test_git_can_give_the_default_and_releases_without_an_archive():
    table = load_releases()
    assert table[DEFAULT_PYTHON].commit == "55fee9cf216abe4ec0d1139f94b1930fbd0c7644"
    assert table["3.14.7"].commit == "823f0323ee6ec1402088b73bce1a38473cac36dc"
    assert table["3.14.7"].archives == ()
    assert len({release.commit for release in table.values() if release.commit}) >= 57


def test_a_version_is_satisfied_by_itself_alone():
    assert versions(candidates("3.13.5", load_releases())) == ["3.13.5"]


def test_a_minor_is_satisfied_by_its_newest_first():
    found = candidates("3.13", releases("3.13.2", "3.13.10", "3.12.9", "3.13.9"))
    assert versions(found) == ["3.13.10", "3.13.9", "3.13.2"]


def test_nothing_named_takes_the_nearest():
    table = releases("3.14.0", "3.13.15", "3.11.2", "3.12.11", "3.13.5", "3.12.12", "3.11.9", "3.12.10", "3.12.3")
    assert versions(candidates(None, table)) == [
        "3.12.11",
        "3.12.12",
        "3.12.10",
        "3.12.3",
        "3.13.5",
        "3.13.15",
        "3.11.9",
        "3.11.2",
        "3.14.0",
    ]


def test_a_pre_release_lies_with_its_release():
    release = Release(version="3.15.0b1", archives=())
    assert (release.parsed.folder, release.tag, release.minor) == ("3.15.0", "v3.15.0b1", "3.15")
    line = ["3.14.9", "3.15.0a7", "3.15.0b1", "3.15.0rc2", "3.15.0", "3.15.1", "3.15.10"]
    assert all(parse_version(older) < parse_version(newer) for older, newer in pairwise(line))
    assert nearness("3.14.9", "3.15.0") < nearness("3.14.9", "3.15.0b1")


@pytest.mark.parametrize("version", ["", "3", "3.13", "3.13.5+", "3.13.5x1", "v3.13.5"])
def test_other_texts_are_not_versions(version):
    with pytest.raises(ValueError, match="not a CPython version"):
        parse_version(version)


@pytest.mark.parametrize("wanted", ["3.12.99", "3.15.0a1", "3.10"])
def test_an_unpinned_version_is_refused_with_what_is_near(wanted):
    with pytest.raises(FetchError, match=re.escape(f"CPython {wanted} is not pinned")) as caught:
        candidates(wanted, load_releases())
    assert caught.value.exit_code is ExitCode.FETCH
    assert "--source" in caught.value.advice
    near = {"3.12.99": "3.12.14", "3.15.0a1": "3.15.0rc1", "3.10": "3.11.0"}[wanted]
    assert near in caught.value.advice
