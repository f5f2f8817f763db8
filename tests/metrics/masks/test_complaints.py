"""Images that decoders fill in without an error are told by what these say."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from metrics.masks.image import RGB_AS_STORED, decode
from metrics.utils.errors import UserError
from submissions.reading.decode import decode_pixels
from submissions.reading.image_header import read_header

PIXELS = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), (90, 60))


def encode(ending: str, *settings: int) -> bytes:
    return bytes(cv2.imencode(ending, PIXELS, settings)[1])


WHOLE = encode(".jpg")


def damaged(data: bytes) -> bytes:
    """The data with bytes replaced in its middle."""
    half = len(data) // 2
    return data[:half] + bytes((7 * i + 3) % 251 for i in range(60)) + data[half + 60 :]


@contextmanager
def stderr_in_a_file() -> Iterator[None]:
    own = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        yield
        os.dup2(own, 2)
    os.close(own)


@pytest.mark.parametrize(
    "data",
    [
        damaged(WHOLE),
        damaged(encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        WHOLE[:-100] + b"\xff\xd9",
        WHOLE[:-2] + bytes(40) + b"\xff\xd9",
        damaged(encode(".tif", cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW)),
    ],
    ids=["jpeg", "progressive", "cut and closed", "left over", "tiff"],
)
def test_an_image_that_is_damaged_in_its_middle_is_refused(data: bytes) -> None:
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    with stderr_in_a_file():
        with pytest.raises(UserError, match=r"frame: the image is truncated or damaged"):
            decode(data, RGB_AS_STORED, name="frame")
        assert decode_pixels(data, read_header(data)) is None


def test_bytes_that_cameras_leave_over_are_no_damage() -> None:
    padded = WHOLE[:-2] + bytes(2) + b"\xff\xd9"
    with stderr_in_a_file():
        found = decode(padded, RGB_AS_STORED, name="frame")
    assert np.array_equal(found, decode(WHOLE, RGB_AS_STORED, name="frame"))


def test_only_the_damaged_one_among_many_threads_is_refused() -> None:
    def is_refused(index: int) -> bool:
        try:
            decode(damaged(WHOLE) if index % 5 == 0 else WHOLE, RGB_AS_STORED, name="frame")
        except UserError:
            return True
        return False

    with stderr_in_a_file(), ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(is_refused, range(200)))
    assert refused == [index % 5 == 0 for index in range(200)]
