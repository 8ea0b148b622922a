"""Compress and decompress."""

import lz4.frame


def work():
    text = b"abc" * 20_000
    assert lz4.frame.decompress(lz4.frame.compress(text)) == text
