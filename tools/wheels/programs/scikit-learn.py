"""Fit a model of its own."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression

TOLERANCE = 1e-6


def work():
    points = np.random.default_rng(1).normal(size=(200, 3))
    assert LinearRegression().fit(points, points[:, 0]).score(points, points[:, 0]) > 1 - TOLERANCE
    KMeans(n_clusters=3, n_init=1, random_state=1).fit(points)
