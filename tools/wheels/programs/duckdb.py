"""Query a database of its own in memory."""

import duckdb


def work():
    connection = duckdb.connect()
    query = "select sum(value) from range(50000) numbers(value) group by value % 7"
    assert len(connection.execute(query).fetchall()) == len(range(7))
    connection.close()
