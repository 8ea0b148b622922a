"""Resize and encode an image of its own."""

import io

from PIL import Image, ImageFilter


def work():
    image = Image.new("RGB", (200, 200), "red").resize((100, 100)).filter(ImageFilter.GaussianBlur(2))
    file = io.BytesIO()
    image.save(file, "PNG")
    assert Image.open(io.BytesIO(file.getvalue())).size == (100, 100)
