from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from harness.data.check.inspect_frame import inspect, inspect_all, mask_problem
from harness.data.listing import FrameFiles

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

SIZE = (64, 96)


def mask_of(value: int = 255) -> npt.NDArray[np.uint8]:
    """A mask of 64 x 96 pixels with a disc of a radius of 20, uint8 (64, 96, 3)."""
    mask = np.zeros((*SIZE, 3), np.uint8)
    return np.asarray(cv2.circle(mask, (48, 32), 20, (value,) * 3, -1), dtype=np.uint8)


def frame_of(image: Path, mask: Path | None) -> FrameFiles:
    return FrameFiles(
        frame="a", name="a", dataset="plain", image=image, mask=mask,
        truth="mask" if mask else "empty",
    )  # fmt: skip


@pytest.mark.parametrize("quality", [30, 60, 75, 95])
def test_a_mask_saved_as_jpeg_is_sound(tmp_path: Path, quality: int) -> None:
    Image.fromarray(mask_of()).save(tmp_path / "a.jpg", quality=quality)
    mask = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert np.unique(mask).size > 2
    assert mask_problem(mask, SIZE) == ""


def test_a_mask_with_smoothed_edges_is_sound() -> None:
    small = cv2.resize(mask_of(), (24, 16), interpolation=cv2.INTER_AREA)
    blurred = np.asarray(cv2.resize(small, (96, 64)), dtype=np.uint8)
    assert np.unique(blurred).size > 20
    assert mask_problem(blurred, SIZE) == ""


@pytest.mark.parametrize("value", [0, 255])
def test_an_empty_and_a_full_mask_are_sound(value: int) -> None:
    assert mask_problem(np.full((*SIZE, 3), value, np.uint8), SIZE) == ""


def test_a_few_stray_pixels_after_jpeg_are_sound(tmp_path: Path) -> None:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[10, 10] = pixels[30, 50] = 90
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=30)
    mask = np.asarray(Image.open(tmp_path / "a.jpg").convert("RGB"))
    assert mask.max() > 0
    assert mask_problem(mask, SIZE) == ""


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (mask_of(128), "an area of greys"),
        (mask_of(1), "values up to 1 only"),
        (cv2.GaussianBlur(mask_of(), (0, 0), 15), "an area of greys"),
        (
            mask_of() * np.array([1, 0, 0], np.uint8),
            "colours (channels differ by up to 255",
        ),
    ],
)
def test_what_is_not_black_and_white_is_named(mask: npt.NDArray[np.uint8], message: str) -> None:
    assert message in mask_problem(mask, SIZE)


def test_both_problems_of_a_mask_are_named() -> None:
    problem = mask_problem(mask_of(128), (10, 20))
    assert "expected 20 x 10 pixels" in problem
    assert "the mask has 96 x 64" in problem
    assert "greys" in problem


def test_a_sound_frame(draw: Drawer, tmp_path: Path) -> None:
    image, mask = draw.frame(tmp_path / "a.png"), draw.mask(tmp_path / "m.png")
    found = inspect(frame_of(image, mask))
    assert (found.height, found.width, found.polyp, found.faults) == (40, 56, True, ())
    assert found.thumbnail.shape == (64, 64)


@pytest.mark.parametrize(("fill", "polyp"), [(128, True), (127, False)])
def test_a_polyp_is_any_pixel_above_127(
    draw: Drawer, tmp_path: Path, fill: int, polyp: bool
) -> None:
    image, mask = (
        draw.frame(tmp_path / "a.png"),
        draw.mask(tmp_path / "m.png", fill=fill),
    )
    assert inspect(frame_of(image, mask)).polyp is polyp


def test_a_frame_without_a_mask_has_no_polyp(draw: Drawer, tmp_path: Path) -> None:
    assert inspect(frame_of(draw.frame(tmp_path / "a.png"), None)).polyp is False


def test_the_digest_is_of_the_pixels_not_of_the_file(draw: Drawer, tmp_path: Path) -> None:
    png = draw.frame(tmp_path / "a.png")
    Image.open(png).save(tmp_path / "b.tif")
    turned = Image.open(png).transpose(Image.Transpose.ROTATE_180)
    turned.save(tmp_path / "c.png")
    digests = [
        inspect(frame_of(tmp_path / name, None)).digest for name in ("a.png", "b.tif", "c.png")
    ]
    assert digests[0] == digests[1] != digests[2]


def test_both_files_of_a_frame_are_looked_at(draw: Drawer, tmp_path: Path) -> None:
    image, mask = draw.frame(tmp_path / "a.jpg"), draw.mask(tmp_path / "m.jpg")
    for path in (image, mask):
        path.write_bytes(path.read_bytes()[:-200])
    found = inspect(frame_of(image, mask))
    assert [("a.jpg" in f.message, "truncated" in f.message) for f in found.faults] == [
        (True, True),
        (False, True),
    ]
    assert (found.digest, found.polyp, found.height) == ("", None, 0)


def test_the_odd_tiffs_are_read_in_colour(draw: Drawer, tmp_path: Path) -> None:
    image = draw.odd_tiff(tmp_path / "a.tif")
    Image.new("RGB", (56, 40), (200, 100, 50)).save(tmp_path / "b.png")
    found = [inspect(frame_of(path, None)) for path in (image, tmp_path / "b.png")]
    assert not found[0].faults
    assert found[0].digest == found[1].digest


def test_all_are_inspected_in_order(draw: Drawer, tmp_path: Path) -> None:
    frames = [frame_of(draw.frame(tmp_path / f"{i}.png", (30, 30 + i)), None) for i in range(9)]
    assert [found.width for found in inspect_all(frames, 3)] == list(range(30, 39))
