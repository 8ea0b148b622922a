"""Polars calls two functions at once, and both count without a lock."""

import planted
import polars as pl

ROWS = 20_000


def count(frame):
    """Return the frame as it is."""
    planted.count()
    return frame


def work(_number):
    frame = pl.DataFrame({"a": range(ROWS), "b": [number % 7 for number in range(ROWS)]})
    sums = frame.lazy().group_by("b").agg(pl.col("a").sum()).map_batches(count).sort("b").collect()
    assert sums["a"].sum() == sum(range(ROWS))
