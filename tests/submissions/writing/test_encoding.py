from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from metrics.utils.errors import UserError
from submissions.writing.encoding import encode_mask

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def disc(height: int = 108, width: int = 135) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return (rows - 50) ** 2 / 900 + (columns - 60) ** 2 / 1600 <= 1


@given(mask=MASKS, file_format=st.sampled_from(["jpg", "tif", "png"]))
@settings(max_examples=60, deadline=None)
def test_opencv_and_pillow_read_a_lossless_mask_back(mask: np.ndarray, file_format: str) -> None:
    encoded = encode_mask(mask, file_format)
    expected = mask * np.uint8(255)
    by_opencv = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), cv2.IMREAD_UNCHANGED)
    with Image.open(io.BytesIO(encoded.data)) as image:
        by_pillow = np.asarray(image)
    assert by_opencv.dtype == np.uint8
    np.testing.assert_array_equal(by_opencv, expected)
    np.testing.assert_array_equal(by_pillow > 0, mask)
    if file_format != "jpg":
        np.testing.assert_array_equal(by_pillow, expected)
    assert encoded.counts == (mask.sum(), 0, 0, (~mask).sum())


def test_scikit_image_reads_the_plain_one(tmp_path) -> None:
    io_module = pytest.importorskip("skimage.io")
    mask = disc()
    path = tmp_path / "mask.tif"
    path.write_bytes(encode_mask(mask, "tif").data)
    decoded = io_module.imread(path)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, mask * np.uint8(255))


def test_the_organisers_glob_and_reader_find_it(tmp_path) -> None:
    (tmp_path / "x_mask.jpg").write_bytes(encode_mask(disc()).data)
    (found,) = tmp_path.glob("*.jpg")
    assert (cv2.imread(str(found), cv2.IMREAD_GRAYSCALE) > 0).sum() == disc().sum()


def packed_by(mask: np.ndarray, kind: str, **options: object) -> int:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, kind, **options)
    return len(stream.getvalue())


@pytest.mark.parametrize("ragged", [False, True])
def test_nothing_else_that_opencv_reads_is_smaller(ragged: bool) -> None:
    mask = disc(1080, 1350)
    if ragged:
        mask[::2, ::2] ^= True
    grey = mask * np.uint8(255)
    others = [len(cv2.imencode(".tif", grey)[1]), len(encode_mask(mask, "tif").data)]
    others += [
        packed_by(grey, "PNG", optimize=True),
        packed_by(grey, "TIFF", compression="tiff_lzw"),
    ]
    others += [packed_by(mask, "TIFF", compression=name) for name in ("group3", "group4")]
    assert len(encode_mask(mask).data) <= min(others)


def test_a_real_jpeg_says_what_it_costs() -> None:
    mask = disc()
    encoded = encode_mask(mask, "jpeg")
    assert encoded.data.startswith(b"\xff\xd8")
    read_back = cv2.imdecode(np.frombuffer(encoded.data, np.uint8), cv2.IMREAD_GRAYSCALE) > 0
    assert encoded.counts.fp == (read_back & ~mask).sum()
    assert encoded.counts.fp > 0
    assert encoded.counts.fn == 0


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 1), bool), np.zeros((0, 4), bool)],
    ids=["bytes", "three-dimensional", "empty"],
)
def test_what_is_no_mask_is_refused(array: np.ndarray) -> None:
    with pytest.raises(UserError, match="EndoCV_DATA1/x: expected a boolean array"):
        encode_mask(array, name="EndoCV_DATA1/x")


def test_a_decoder_that_gives_back_something_else_is_caught(monkeypatch) -> None:
    def shifted(data: np.ndarray, flags: int) -> np.ndarray:
        return np.roll(decode(data, flags), 1, axis=0)

    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", shifted)
    with pytest.raises(UserError, match="does not read the encoded mask back"):
        encode_mask(disc())
