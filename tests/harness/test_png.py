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

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(arrays(np.bool_, SHAPES))
def test_opencv_and_pillow_read_the_mask(mask: np.ndarray) -> None:
    data = encode_png(mask)
    expected = np.where(mask, 255, 0).astype(np.uint8)

    assert np.array_equal(
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), expected
    )
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        assert np.array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("fill", ["none", "all", "noise"])
def test_large_masks(fill: str, tmp_path) -> None:
    mask = np.zeros((1080, 1920), np.bool_)
    if fill == "all":
        mask[:] = True
    elif fill == "noise":
        mask = np.random.default_rng(0).random(mask.shape) > 0.5
    path = tmp_path / "mask.png"
    path.write_bytes(encode_png(mask))

    assert np.array_equal(skimage_io.imread(path), mask * np.uint8(255))


def test_rows_that_do_not_lie_together_in_memory() -> None:
    mask = np.random.default_rng(1).random((30, 40)) > 0.5
    for view in (mask.T, mask[::2, ::-1]):
        data = np.frombuffer(encode_png(view), np.uint8)
        assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED) > 0, view)
