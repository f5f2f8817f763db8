from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from harness.data.check.inspect_frame import inspect, inspect_all
from harness.data.listing import FrameFiles

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def frame_of(image: Path, mask: Path | None) -> FrameFiles:
    return FrameFiles(
        frame="a", name="a", dataset="plain", image=image, mask=mask,
        truth="mask" if mask else "empty",
    )  # fmt: skip


def test_both_problems_of_a_mask_are_named(draw: Drawer, tmp_path: Path) -> None:
    image = draw.frame(tmp_path / "a.png")
    mask = draw.mask(tmp_path / "m.png", (60, 90), fill=90)
    (fault,) = inspect(frame_of(image, mask)).faults
    assert fault.path == str(mask)
    assert "expected 56 x 40 pixels" in fault.message
    assert "the mask has 90 x 60" in fault.message
    assert "no pixel counts as polyp" in fault.message


def test_a_shape_in_the_alpha_channel_is_a_fault_and_an_opaque_one_is_none(
    draw: Drawer, tmp_path: Path
) -> None:
    image, mask = draw.frame(tmp_path / "a.png"), draw.mask(tmp_path / "m.png")
    grey = Image.open(mask).convert("L")
    white = Image.new("L", grey.size, 255)
    Image.merge("LA", (white, grey)).save(tmp_path / "cut.png")
    Image.merge("LA", (grey, white)).save(tmp_path / "opaque.png")
    cut, opaque = (inspect(frame_of(image, tmp_path / f"{n}.png")) for n in ("cut", "opaque"))
    assert "alpha channel that is not opaque" in cut.faults[0].message
    assert cut.holds is None
    assert (opaque.faults, opaque.holds, opaque.has_alpha) == ((), (True,), True)


def test_a_sound_frame(draw: Drawer, tmp_path: Path) -> None:
    image, mask = draw.frame(tmp_path / "a.png"), draw.mask(tmp_path / "m.png")
    found = inspect(frame_of(image, mask))
    assert (found.height, found.width, found.holds, found.faults) == (40, 56, (True,), ())
    assert found.thumbnail.shape == (64, 64)


@pytest.mark.parametrize(
    ("fill", "holds"), [(255, (True,)), (0, (False,)), (128, None), (127, None)]
)
def test_a_polyp_is_any_white_pixel_of_a_mask_without_a_problem(
    draw: Drawer, tmp_path: Path, fill: int, holds: tuple[bool] | None
) -> None:
    image, mask = draw.frame(tmp_path / "a.png"), draw.mask(tmp_path / "m.png", fill=fill)
    found = inspect(frame_of(image, mask))
    assert found.holds == holds
    assert bool(found.faults) is (holds is None)


def test_a_frame_without_a_mask_has_no_polyp(draw: Drawer, tmp_path: Path) -> None:
    assert inspect(frame_of(draw.frame(tmp_path / "a.png"), None)).holds == (False,)


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
    assert (found.digest, found.holds, found.height) == ("", None, 0)


def test_the_odd_tiffs_are_read_in_colour(draw: Drawer, tmp_path: Path) -> None:
    image = draw.odd_tiff(tmp_path / "a.tif")
    Image.new("RGB", (56, 40), (200, 100, 50)).save(tmp_path / "b.png")
    found = [inspect(frame_of(path, None)) for path in (image, tmp_path / "b.png")]
    assert not found[0].faults
    assert found[0].digest == found[1].digest


def test_all_are_inspected_in_order(draw: Drawer, tmp_path: Path) -> None:
    frames = [frame_of(draw.frame(tmp_path / f"{i}.png", (30, 30 + i)), None) for i in range(9)]
    assert [found.width for found in inspect_all(frames, 3)] == list(range(30, 39))


def test_a_frame_of_too_many_pixels_with_a_tag_is_a_fault(draw: Drawer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "huge.jpg"
    Image.new("L", (8, 8)).save(path, exif=exif)
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = (20_000).to_bytes(2, "big") * 2
    path.write_bytes(data)
    found = inspect(frame_of(path, draw.mask(tmp_path / "m.png")))
    assert "at most 100 megapixels" in found.faults[0].message
    assert not found.is_turned
