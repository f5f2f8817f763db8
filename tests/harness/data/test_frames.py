from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from harness.data import frames
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

SHAPE = (24, 32, 3)


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


def save(pixels: NDArray[np.uint8], path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_lossless_formats_come_back_as_they_were(
    pixels: NDArray[np.uint8], tmp_path: Path, ending: str
) -> None:
    read = frames.read_image(save(pixels, tmp_path / f"frame.{ending}"))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_jpeg_is_rgb_not_bgr(tmp_path: Path) -> None:
    red = np.zeros(SHAPE, np.uint8)
    red[..., 0] = 200
    read = frames.read_image(save(red, tmp_path / "red.jpg"))
    np.testing.assert_allclose(read.mean(axis=(0, 1)), [200, 0, 0], atol=3)


def test_grey_has_three_equal_channels(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    read = frames.read_image(save(pixels[..., 0], tmp_path / "grey.png"))
    np.testing.assert_array_equal(read, np.dstack([pixels[..., 0]] * 3))


def odd_tiff(pixels: NDArray[np.uint8], order: str) -> bytes:
    """RGB pixels in a TIFF that declares grey with two extra samples, as CVC-ClinicDB's do."""
    height, width, channels = pixels.shape
    bits = 8 + 2 + 12 * 10 + 4
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, bits), (259, 3, 1, 1),
        (262, 3, 1, 1), (273, 4, 1, bits + 6), (277, 3, 1, channels), (278, 3, 1, height),
        (279, 4, 1, pixels.size), (338, 3, 2, 0),
    ]  # fmt: skip
    data = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        data += struct.pack(f"{order}HHI", tag, kind, count)
        data += struct.pack(f"{order}HH" if short else f"{order}I", *([value, 0][: 1 + short]))
    return data + struct.pack(f"{order}IHHH", 0, 8, 8, 8) + pixels.tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_tagged_grey_with_extra_samples_are_read_in_colour(
    pixels: NDArray[np.uint8], order: str, tmp_path: Path
) -> None:
    (tmp_path / "odd.tif").write_bytes(odd_tiff(pixels, order))
    np.testing.assert_array_equal(frames.read_image(tmp_path / "odd.tif"), pixels)


def test_an_odd_tiff_of_another_writer(draw: Drawer, tmp_path: Path) -> None:
    read = frames.read_image(draw.odd_tiff(tmp_path / "1.tif"))
    np.testing.assert_array_equal(read[0, 0], [200, 100, 50])


def test_orientation_is_ignored(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(frames.read_image(path), pixels)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "bmp"])
def test_half_a_file_is_refused_by_name(
    pixels: NDArray[np.uint8], tmp_path: Path, ending: str
) -> None:
    path = save(pixels, tmp_path / f"half.{ending}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"half\.{ending}"):
        frames.read_image(path)


def test_bytes_behind_a_jpeg_do_no_harm(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    path = save(pixels, tmp_path / "frame.jpg")
    whole = frames.read_image(path)
    path.write_bytes(path.read_bytes() + b"\xff\xda" + bytes(40))
    np.testing.assert_array_equal(frames.read_image(path), whole)


@pytest.mark.parametrize("content", [b"", b"no image", b"II*\0", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "note.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"note\.jpg"):
        frames.read_image(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        frames.read_image(tmp_path / "gone.jpg")


def test_a_huge_image_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (20_000, 10_000)).save(path)
    with pytest.raises(UserError, match="100 megapixels"):
        frames.read_image(path)


def test_bilinear_is_pillows() -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    resized = frames.resize_image(image, 32)
    assert np.abs(resized.astype(int) - expected).max() <= 1


def test_bilinear_weighs_every_pixel() -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::3] = 240
    assert np.ptp(frames.resize_image(stripes, 24)[:, 2:-2]) < 60


def test_own_size_is_left_alone(pixels: NDArray[np.uint8]) -> None:
    square = np.ascontiguousarray(pixels[:24, :24])
    assert frames.resize_image(square, 24) is square


def test_mask_is_resized_from_centre_to_centre() -> None:
    mask = np.zeros((288, 384), np.bool_)
    mask[100:180, 60:200] = True
    small = frames.resize_mask(mask, 64)
    assert small.dtype == np.uint8
    assert set(np.unique(small)) == {0, 1}
    np.testing.assert_array_equal(frames.resize_mask(mask[:, ::-1], 64), small[:, ::-1])
    assert small.mean() == pytest.approx(mask.mean(), abs=0.01)


def test_an_empty_mask_stays_empty() -> None:
    assert not frames.resize_mask(np.zeros((30, 40), np.bool_), 16).any()


@pytest.mark.realframes
def test_real_frames(endocv: Path) -> None:
    image = next(iter(sorted(endocv.glob("data_C1/images_C1/*.jpg"))))
    with Image.open(image) as expected:
        size = expected.height, expected.width, 3
    assert frames.read_image(image).shape == size


def test_the_search_for_unreadable_frames_keeps_no_pixels(tmp_path: Path) -> None:
    frame = save(np.zeros((600, 600, 3), np.uint8), tmp_path / "frame.png")
    (tmp_path / "damaged.png").write_bytes(frame.read_bytes()[:-200])
    tracemalloc.start()
    try:
        faults = frames.find_unreadable([frame] * 60 + [tmp_path / "damaged.png"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ["damaged.png" in str(fault) for fault in faults] == [True]
    assert peak < 30 * 600 * 600 * 3
