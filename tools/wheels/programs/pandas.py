"""Group and join frames of its own."""

import pandas as pd


def work():
    frame = pd.DataFrame({"key": [number % 7 for number in range(2_000)], "value": range(2_000)})
    sums = frame.groupby("key").sum()
    assert len(frame.merge(sums, left_on="key", right_index=True)) == len(frame)
