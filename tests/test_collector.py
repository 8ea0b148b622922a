"""The collector is off in a block, and as it was afterwards."""

import gc

import pytest

from python_tsan.collector import paused


@pytest.fixture(autouse=True)
def _kept():
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_as_before(on):
    (gc.enable if on else gc.disable)()
    with paused():
        assert not gc.isenabled()
    assert gc.isenabled() is on


def test_it_is_on_again_after_an_error():
    gc.enable()
    with pytest.raises(KeyError), paused():
        raise KeyError
    assert gc.isenabled()
