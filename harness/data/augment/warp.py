"""Resizing, warping and noise, for frames with their masks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Pair = tuple[Image, Image]


def resize_pair(image: Image, mask: Image, size: int) -> Pair:
    """Resize a frame by area averaging and its mask by nearest neighbour to (size, size)."""
    if image.shape[:2] == (size, size):
        return image, mask
    smaller = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    nearest = cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(smaller, dtype=np.uint8), np.asarray(nearest, dtype=np.uint8)


def warp(image: Image, mask: Image, matrix: NDArray[np.float64], size: int) -> Pair:
    """Warp a frame and its mask by one projective map; what lies outside is black.

    Args:
        image: uint8 (H, W, 3).
        mask: uint8 (H, W).
        matrix: (3, 3), from input to output coordinates in pixels, (0, 0) the centre of the
            first pixel.
        size: Side of the output, in pixels.

    Returns:
        tuple: The frame, bilinear, uint8 (S, S, 4) with a meaningless fourth channel, and the
        mask, nearest neighbour, uint8 (S, S).
    """
    # OpenCV warps four channels in a third of the time of three.
    wide = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    shape = (size, size)
    if not matrix[2, :2].any():
        affine = matrix[:2] / matrix[2, 2]
        warped = cv2.warpAffine(wide, affine, shape, flags=cv2.INTER_LINEAR)
        warped_mask = cv2.warpAffine(mask, affine, shape, flags=cv2.INTER_NEAREST)
    else:
        warped = cv2.warpPerspective(wide, matrix, shape, flags=cv2.INTER_LINEAR)
        warped_mask = cv2.warpPerspective(mask, matrix, shape, flags=cv2.INTER_NEAREST)
    return np.asarray(warped, dtype=np.uint8), np.asarray(warped_mask, dtype=np.uint8)


def add_noise(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    """Add Gaussian noise to uint8 (H, W, 3), the same in all channels, saturated at 0 and 255.

    ``deviation`` is its standard deviation in grey values; ``rng`` seeds OpenCV's generator, which
    is several times as fast as NumPy's.
    """
    cv2.setRNGSeed(int(rng.integers(2**31)))
    noise = np.empty(image.shape[:2], np.int16)
    cv2.randn(noise, np.zeros(1), np.array([deviation]))
    return np.asarray(cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U), dtype=np.uint8)
