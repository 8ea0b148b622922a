"""Intersect shapes of its own."""

import shapely


def work():
    circles = shapely.buffer(shapely.points(range(50), [0] * 50), 1)
    assert shapely.unary_union(circles).area > circles[0].area
