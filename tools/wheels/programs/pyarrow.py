"""Read CSV in blocks, compute and aggregate on Arrow's own thread pools."""

import io

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

ROWS = 20_000
TEXT = ("a,b\n" + "\n".join(f"{number},{number % 7}" for number in range(ROWS))).encode()


def work():
    options = pyarrow.csv.ReadOptions(block_size=ROWS)
    table = pyarrow.csv.read_csv(io.BytesIO(TEXT), read_options=options)
    assert table.num_rows == ROWS
    assert pyarrow.compute.sum(pa.array(range(ROWS))).as_py() == sum(range(ROWS))
    table.group_by("b").aggregate([("a", "sum")])
