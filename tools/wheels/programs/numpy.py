"""Sort, multiply and sum arrays of its own."""

import numpy as np


def work():
    values = np.arange(20_000.0).reshape(100, 200)
    assert (values @ values.T).shape == (100, 100)
    assert np.sort(values.ravel())[-1] == values.sum() - values[:, :-1].sum() - values[:-1, -1].sum()
