"""Commands that serve this repository only; the wheel does not hold them."""
