"""The example's run is rendered as docs/examples/ shows it: a change of any rendering is seen there."""

from __future__ import annotations

import pytest

from python_tsan.render.registry import RENDERINGS
from tools import examples


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_example_is_as_published(name):
    assert examples.file_of(name).read_bytes() == examples.rendered(name), "nox -s examples writes it"
