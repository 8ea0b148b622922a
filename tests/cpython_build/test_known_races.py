"""The races of CPython that this package knows of, as far as they can be read without any build."""

from python_tsan.cpython.known_races import SHIPPED, known_races, shipped_file
from python_tsan.tsan.suppressions import parse_suppressions


def test_each_shipped_suppression_has_an_issue_and_is_narrow():
    files = sorted(SHIPPED.glob("*.txt"))
    assert files
    for file in files:
        read = parse_suppressions(file.read_text())
        assert not read.refused
        assert all("https://github.com/" in entry.reason for entry in read.entries)


def test_the_shipped_list_is_that_of_the_version_and_its_threading():
    assert shipped_file("3.13.5") == SHIPPED / "cpython-3.13.txt"
    assert shipped_file("3.13.5", free_threaded=True) == SHIPPED / "cpython-3.13t.txt"
    assert shipped_file("3.1.0") is None
    assert known_races("3.1.0") == ()
    assert "race:_Py_TryIncrefCompare" in map(str, known_races("3.13.5", free_threaded=True))
    assert "race:_Py_TryIncrefCompare" not in map(str, known_races("3.13.5"))
