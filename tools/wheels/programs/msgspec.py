"""Write and read JSON of a type."""

import msgspec


class Item(msgspec.Struct):
    """One item."""

    number: int
    text: str


def work():
    items = [Item(number, "x") for number in range(500)]
    assert msgspec.json.decode(msgspec.json.encode(items), type=list[Item]) == items
