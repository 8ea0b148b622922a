"""Write and read a file of its own in memory."""

import io

import h5py
import numpy as np


def work():
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written["values"] = np.arange(1_000)
    with h5py.File(file, "r") as read:
        assert read["values"][:].sum() == sum(range(1_000))
