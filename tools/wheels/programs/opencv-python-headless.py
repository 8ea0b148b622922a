"""Blur, resize and encode an image of its own, on OpenCV's thread pool."""

import cv2
import numpy as np


def work():
    image = np.zeros((400, 400, 3), np.uint8)
    blurred = cv2.resize(cv2.GaussianBlur(image, (9, 9), 2), (100, 100))
    assert cv2.imencode(".png", blurred)[0]
