"""Transform, solve and integrate."""

import numpy as np
import scipy.fft
import scipy.integrate
import scipy.linalg

TOLERANCE = 1e-6


def work():
    matrix = np.eye(60) * 2
    assert np.allclose(scipy.linalg.solve(matrix, np.ones(60)), 0.5)
    assert np.allclose(scipy.fft.ifft(scipy.fft.fft(np.ones(512))), 1)
    assert abs(scipy.integrate.quad(np.sin, 0, np.pi)[0] - 2) < TOLERANCE
