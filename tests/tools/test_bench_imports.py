"""The bench of the scan: its trees, its slope, and a row that can be red."""

import pytest

from tools.bench.imports import _limited, slope, write_tree


@pytest.mark.parametrize("size", [10, 50, 500])
def test_a_tree_has_as_many_modules_as_it_should(size, tmp_path):
    assert write_tree(tmp_path, size) == ("one", "two")
    assert len(list(tmp_path.glob("w*/*.py"))) == size


def test_the_slope_is_the_exponent_of_the_growth():
    assert slope([(10, 1.0), (100, 10.0), (1000, 100.0)]) == pytest.approx(1.0)
    assert slope([(10, 1.0), (100, 100.0)]) == pytest.approx(2.0)


def test_a_row_is_met_or_not():
    assert _limited("x", 4.0, 5.0).met
    assert not _limited("x", 6.0, 5.0).met
