"""Compress and decompress."""

import zstandard


def work():
    text = b"abc" * 20_000
    packed = zstandard.ZstdCompressor().compress(text)
    assert zstandard.ZstdDecompressor().decompress(packed) == text
