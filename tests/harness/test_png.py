"""Masks written here are read by others as they are."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage import io as skimage_io

from harness.png import encode_png

WHITE = np.uint8(255)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(arrays(np.uint8, SHAPES) | arrays(np.bool_, SHAPES).map(lambda mask: mask * WHITE))
def test_opencv_and_pillow_read_the_mask(pixels: np.ndarray) -> None:
    data = encode_png(pixels)

    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("fill", ["none", "all", "noise"])
def test_large_masks(fill: str, tmp_path) -> None:
    mask = np.zeros((1080, 1920), np.bool_)
    if fill == "all":
        mask[:] = True
    elif fill == "noise":
        mask = np.random.default_rng(0).random(mask.shape) > 0.5
    path = tmp_path / "mask.png"
    path.write_bytes(encode_png(mask * WHITE))

    assert np.array_equal(skimage_io.imread(path), mask * WHITE)


def test_rows_that_do_not_lie_together_in_memory() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40), np.uint8)
    for view in (pixels.T, pixels[::2, ::-1]):
        data = np.frombuffer(encode_png(view), np.uint8)
        assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), view)
