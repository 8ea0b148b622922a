"""C++ writes an array while NumPy copies it."""

import numpy as np
import planted

shared = np.zeros(1_000_000, dtype=np.uint8)


def work(number):
    if number:
        planted.write(shared)
        return
    planted.meet()
    shared.copy()
    planted.meet()
