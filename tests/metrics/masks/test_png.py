"""Masks written here are read by others as they are, and the plain ones of others are here."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage import io as skimage_io

from metrics.masks.png import SIGNATURE, decode_png, encode_png
from metrics.masks.read import decode_mask
from metrics.utils.errors import UserError

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


def by_pillow(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def by_opencv(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def stored(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(pixels: np.ndarray, filters: list[int]) -> bytes:
    """A PNG whose rows are filtered as told, by the definition."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((1, 0), (1, 0))).astype(int)
    own, left, above, corner = padded[1:, 1:], padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    estimate = left + above - corner
    far = np.stack([abs(estimate - near) for near in (left, above, corner)])
    paeth = np.choose(far.argmin(axis=0), (left, above, corner))
    less = (0 * own, left, above, (left + above) // 2, paeth)
    rows = b"".join(
        bytes([kind]) + ((own - less[kind])[row] % 256).astype(np.uint8).tobytes()
        for row, kind in enumerate(filters)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        SIGNATURE
        + stored(b"IHDR", head)
        + stored(b"IDAT", zlib.compress(rows))
        + stored(b"IEND", b"")
    )


@given(st.data(), arrays(np.uint8, SHAPES) | arrays(np.bool_, SHAPES).map(lambda m: m * WHITE))
def test_every_filter_is_undone_or_left_to_a_library(data: st.DataObject, pixels) -> None:
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=len(pixels), max_size=len(pixels)))
    png = filtered(pixels, kinds)

    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), pixels)
    decoded = decode_png(png)
    assert (decoded is None) == (max(kinds) > 2)
    assert decoded is None or np.array_equal(decoded, pixels)


@pytest.mark.parametrize("write", [by_pillow, by_opencv, encode_png])
def test_masks_of_others_are_decoded(write) -> None:
    pixels = np.zeros((480, 640), np.uint8)
    cv2.ellipse(pixels, (400, 200), (300, 120), 30, 0, 360, 255, -1)  # over the right edge too
    decoded = decode_png(write(pixels))
    assert decoded is not None
    assert np.array_equal(decoded, pixels)


def test_what_readers_may_differ_on_is_left_to_them() -> None:
    grey = np.full((6, 5), 255, np.uint8)
    assert decode_png(by_pillow(grey)) is not None
    assert decode_png(by_pillow(grey, dpi=(72, 72))) is not None
    for other in (
        by_pillow(grey > 0),
        by_pillow(np.dstack([grey] * 3)),
        by_pillow(grey.astype(np.uint16)),
        by_pillow(grey, transparency=255),
        by_pillow(grey, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
        b"no PNG at all",
        b"",
    ):
        assert decode_png(other) is None


def test_whatever_is_damaged_is_not_decoded() -> None:
    """Every byte in turn is changed, and the file is cut short before each."""
    png = filtered(np.arange(30, dtype=np.uint8).reshape(5, 6), [0, 1, 2, 1, 2])
    whole = decode_png(png)
    assert whole is not None
    for place in range(len(png) - 12):  # the last chunk's length and checksum tell nothing
        changed = bytearray(png)
        changed[place] ^= 0x55
        assert decode_png(bytes(changed)) is None, place
        assert decode_png(png[:place]) is None, place


def test_no_more_is_unpacked_than_the_size_needs() -> None:
    head = struct.pack(">IIBBBBB", 10, 10, 8, 0, 0, 0, 0)
    for unpacked in (bytes(109), bytes(111), bytes(1 << 28)):
        parts = stored(b"IHDR", head), stored(b"IDAT", zlib.compress(unpacked))
        tracemalloc.start()
        assert decode_png(SIGNATURE + b"".join(parts) + stored(b"IEND", b"")) is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
        tracemalloc.stop()


@pytest.mark.parametrize("side", [10_001, 2**32 - 1])
def test_one_that_is_too_large_is_refused_before_it_is_unpacked(side: int) -> None:
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side * (1 + side))) if side < 20_000 else b""
    parts = stored(b"IHDR", head), stored(b"IDAT", rows), stored(b"IEND", b"")
    with pytest.raises(UserError, match="100 megapixels"):
        decode_mask(SIGNATURE + b"".join(parts))
