"""Write and read JSON."""

import orjson


def work():
    data = {"numbers": list(range(1_000)), "text": "x" * 100}
    assert orjson.loads(orjson.dumps(data)) == data
