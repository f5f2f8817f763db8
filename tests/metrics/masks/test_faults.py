"""One set of findings for masks of datasets, truths and packages."""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from metrics.masks.faults import Kind, _has_area_of, examine, has_area

Pixels = npt.NDArray[np.uint8]
WHITE = np.full((64, 96), 255, np.uint8)


def disc(value: int = 255) -> Pixels:
    return np.asarray(
        cv2.circle(np.zeros((64, 96), np.uint8), (48, 32), 20, (value,), -1), np.uint8
    )


def saved(pixels: npt.NDArray[np.generic], kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def tiff(pixels: npt.NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels)
    return stream.getvalue()


def deep(top: int) -> npt.NDArray[np.uint16]:
    return (disc() // 255).astype(np.uint16) * np.uint16(top)


def cut_out(channels: int) -> Pixels:
    """White everywhere, the disc told by alpha alone."""
    return np.dstack([WHITE] * (channels - 1) + [disc()])


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 3
    return exif


@pytest.mark.parametrize("quality", [30, 60, 75, 95])
def test_what_jpeg_does_to_an_edge_is_no_problem(quality: int) -> None:
    for pixels in (disc(), np.dstack([disc()] * 3)):
        data = saved(pixels, "JPEG", quality=quality)
        found = examine(data)
        assert np.unique(found.pixels).size > 2
        assert found.problem == ""
        resaved = saved(np.asarray(Image.open(io.BytesIO(data))))
        assert examine(resaved).problem == ""


def test_smoothed_edges_are_no_problem() -> None:
    small = cv2.resize(disc(), (24, 16), interpolation=cv2.INTER_AREA)
    blurred = np.asarray(cv2.resize(small, (96, 64)), np.uint8)
    assert np.unique(blurred).size > 20
    assert examine(saved(blurred)).problem == ""


@pytest.mark.parametrize("value", [0, 255])
def test_an_empty_and_a_full_mask_are_no_problem(value: int) -> None:
    assert examine(saved(np.full((64, 96), value, np.uint8))).problem == ""


def test_faint_remains_of_a_lossy_copy_are_no_problem() -> None:
    pixels = np.zeros((64, 96), np.uint8)
    pixels[10, 10] = pixels[30, 50] = 90
    assert examine(saved(pixels, "JPEG", quality=30)).problem == ""


@pytest.mark.parametrize("data", [saved(deep(65535)), tiff(deep(65535))])
def test_16_bits_that_are_black_and_white_are_read_exactly(data: bytes) -> None:
    found = examine(data)
    assert found.problem == ""
    assert np.array_equal(found.pixels, disc())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (saved(disc(1)), "the values 0 and 1 alone"),
        (saved(disc(1), "JPEG", quality=100), "values up to 2 only"),
        (saved(np.minimum(disc(2), 2)), "values up to 2 only"),
        (saved(disc(128)), "an area of greys"),
        (saved(cv2.GaussianBlur(disc(), (0, 0), 15)), "an area of greys"),
        (saved(np.where(np.arange(96) < 30, np.uint8(1), disc())), "an area of values between 1"),
        (saved(deep(255)), "uint16 values from 0 to 255 instead of 8 bits"),
        (saved(deep(1)), "uint16 values from 0 to 1 instead of 8 bits"),
        (tiff(deep(255)), "uint16 values from 0 to 255 instead of 8 bits"),
        (tiff(disc().astype(np.float32)), "float32 values from 0 to 255 instead"),
        (tiff(disc().astype(np.int32)), "int32 values from 0 to 255 instead"),
        (saved(cut_out(4)), "alpha channel that is not opaque"),
        (saved(cut_out(2)), "alpha channel that is not opaque"),
        (saved(cut_out(4), "TIFF"), "alpha channel that is not opaque"),
        (saved(cut_out(2), "TIFF"), "alpha channel that is not opaque"),
        (saved(WHITE, transparency=255), "alpha channel that is not opaque"),
        (saved(disc(), exif=turned()), "an orientation tag"),
        (saved(disc(), "JPEG", exif=turned()), "an orientation tag"),
        (saved(disc(), "TIFF", tiffinfo={274: 6}), "an orientation tag"),
        (saved(np.dstack([disc(), disc(0), disc(0)])), "colours (channels differ by up to 255"),
    ],
)
def test_what_readers_would_mistake_is_a_problem(data: bytes, said: str) -> None:
    assert said in examine(data).problem


def test_an_opaque_alpha_channel_is_only_noted() -> None:
    found = examine(saved(np.dstack([disc(), disc(), disc(), WHITE])))
    assert (found.problem, found.has_alpha) == ("", True)
    assert np.array_equal(found.pixels, disc())
    assert not examine(saved(disc())).has_alpha


def test_an_upright_tag_is_no_problem() -> None:
    exif = Image.Exif()
    exif[274] = 1
    assert examine(saved(disc(), "JPEG", exif=exif)).problem == ""


def test_all_problems_of_a_mask_are_named() -> None:
    found = examine(saved(np.dstack([disc(), disc(0), disc(0), disc()]), exif=turned()))
    for said in ("colours (", "orientation tag", "alpha channel"):
        assert said in found.problem


@pytest.mark.parametrize(("kind", "shape"), [("grey", (64, 96)), ("coloured", (64, 96, 3))])
def test_values_that_mean_classes_are_left_to_the_classes(
    kind: Kind, shape: tuple[int, ...]
) -> None:
    found = examine(saved(disc(1)), kind=kind)
    assert (found.problem, found.pixels.shape) == ("", shape)


@pytest.mark.parametrize(("low", "high", "side"), [(32, 223, 9), (1, 31, 17), (1, 127, 3)])
def test_a_grid_of_points_misses_no_area(low: int, high: int, side: int) -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        grey = np.zeros(rng.integers(3, 50, 2), np.uint8)
        top, left, height, width = rng.integers(0, 24, 4)
        grey[top : top + height, left : left + width] = rng.choice([20, 100])
        grey[rng.random(grey.shape) < 0.002] = 0
        wanted = has_area((grey >= low) & (grey <= high), side)
        assert _has_area_of(grey, low, high, side) == wanted
        found.append(wanted)
    assert {*found} == {True, False}


def test_a_lack_of_memory_is_not_taken_for_a_file_without_alpha(monkeypatch) -> None:
    def convert(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", convert)
    cut_out = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(MemoryError):
        examine(cv2.imencode(".png", cut_out)[1].tobytes())
