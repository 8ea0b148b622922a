"""Group, sort and filter on Polars' own thread pool."""

import polars as pl

ROWS = 20_000


def work():
    frame = pl.DataFrame({"a": range(ROWS), "b": [number % 7 for number in range(ROWS)]})
    sums = frame.lazy().group_by("b").agg(pl.col("a").sum()).sort("b").collect()
    assert sums["a"].sum() == sum(range(ROWS))
    frame.sort("a", descending=True).filter(pl.col("b") > sums["b"][1])
