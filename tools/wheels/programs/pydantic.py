"""Validate models."""

import pydantic


class Item(pydantic.BaseModel):
    """One item."""

    number: int
    text: str


def work():
    items = [Item.model_validate({"number": str(number), "text": "x"}) for number in range(200)]
    assert Item.model_validate_json(items[1].model_dump_json()) == items[1]
