from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import io

from metrics.masks.class_indices import (
    class_masks,
    decode_labels,
    mask_of,
    read_labels,
    to_pixels,
    write_mask,
)
from metrics.masks.classes import ONE, Classes
from metrics.masks.read import decode_mask
from metrics.utils.errors import UserError

TWO = Classes.from_table({"polyp": 255, "instrument": 128})


def drawn(polyp: int = 255, instrument: int = 128) -> np.ndarray:
    """A disc of one value with a bar of another across it."""
    grey = np.zeros((120, 160), np.uint8)
    cv2.circle(grey, (60, 60), 40, polyp, -1)
    cv2.rectangle(grey, (70, 50), (150, 70), instrument, -1)
    return grey


def encoded(grey: np.ndarray, suffix: str = ".png", quality: int = 75) -> bytes:
    return bytes(cv2.imencode(suffix, grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


@pytest.mark.parametrize(("suffix", "quality"), [(".png", 75), (".jpg", 75), (".jpg", 95)])
def test_each_pixel_is_of_the_class_whose_value_is_nearest(suffix: str, quality: int) -> None:
    labels = decode_labels(encoded(drawn(), suffix, quality), TWO)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, drawn(polyp=1, instrument=2))


@pytest.mark.parametrize("classes", [TWO, Classes.from_table({"a": 1, "b": 2}), ONE])
def test_what_is_written_is_read_again(classes: Classes) -> None:
    labels = drawn(polyp=1, instrument=len(classes))
    labels = labels if len(classes) > 1 else labels > 0
    read = decode_labels(encoded(to_pixels(labels, classes)), classes)
    assert read.dtype == labels.dtype
    assert np.array_equal(read, labels)


def test_one_class_without_a_value_is_read_by_the_protocol() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(1, 256)
    assert np.array_equal(decode_labels(encoded(grey)), decode_mask(encoded(grey)))
    assert decode_labels(encoded(grey), protocol="official").sum() == 255


def test_one_class_with_a_value_is_a_bool_mask() -> None:
    one = Classes.from_table({"nucleus": 7})
    labels = decode_labels(encoded(drawn(7, 7)), one)
    assert labels.dtype == np.bool_
    assert np.array_equal(to_pixels(labels, one), drawn(7, 7))


def test_values_of_no_class_are_named_with_the_file() -> None:
    grey = drawn()
    grey[0, :5], grey[1, :2] = 60, 200
    with pytest.raises(UserError) as found:
        decode_labels(encoded(grey), TWO, name="a.png")
    assert found.value.message.startswith(
        "a.png: expected the values 0 (background), 255 (polyp), 128 (instrument), within 48, but "
        "7 pixels have others: 60, 200. "
    )


def test_a_class_that_is_not_named_is_no_other() -> None:
    with pytest.raises(UserError, match=r"others: 3\."):
        decode_labels(encoded(drawn(1, 3)), Classes.from_table({"a": 1, "b": 2}))


def test_the_chosen_class_comes_first() -> None:
    labels = drawn(1, 2)
    pairs = class_masks(labels, labels, TWO.choosing("instrument"))
    assert list(pairs) == ["instrument", "polyp"]
    assert np.array_equal(pairs["instrument"][0], labels == 2)
    assert np.array_equal(mask_of(labels == 1, 0), labels != 1)


@pytest.mark.parametrize("classes", [ONE, TWO])
def test_a_written_mask_is_a_grey_png_to_others(classes: Classes, tmp_path: Path) -> None:
    labels = drawn(polyp=1, instrument=len(classes))
    labels = labels if len(classes) > 1 else labels > 0
    path = tmp_path / "new" / "a.png"
    write_mask(path, labels, classes)

    assert np.array_equal(io.imread(path), to_pixels(labels, classes))
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L")


def test_a_mask_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*a\.png"):
        write_mask(tmp_path / "file" / "a.png", np.ones((2, 2), np.bool_))


COLOURS = Classes.from_table({"neoplastic": "#ff0000", "other": "#00ff00"})


def coloured(first: int = 1, second: int = 2) -> np.ndarray:
    """The disc and the bar in the classes' colours, uint8 (H, W, 3), BGR."""
    return np.ascontiguousarray(COLOURS.palette[drawn(first, second)][..., ::-1])


def test_colours_are_read_exactly_from_a_png() -> None:
    assert np.array_equal(decode_labels(encoded(coloured()), COLOURS), drawn(1, 2))


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_the_blurred_edges_of_a_jpeg_get_the_nearest_colour(quality: int) -> None:
    labels = decode_labels(encoded(coloured(), ".jpg", quality), COLOURS)
    wrong = labels != drawn(1, 2)
    inside = np.abs(cv2.Laplacian(drawn(1, 2), cv2.CV_16S, ksize=5)) == 0
    assert wrong.mean() < 0.01
    assert not (wrong & cv2.erode(inside.astype(np.uint8), np.ones((3, 3))).astype(bool)).any()


def test_one_class_with_a_colour_is_a_bool_mask() -> None:
    one = Classes.from_table({"polyp": "#ff0000"})
    labels = decode_labels(encoded(coloured(1, 1)), one)
    assert labels.dtype == np.bool_
    assert np.array_equal(labels, drawn(1, 1) > 0)


def test_an_area_of_another_colour_is_named_with_the_file() -> None:
    pixels = coloured()
    pixels[5:25, 5:25] = (255, 0, 0)
    message = r"b\.png: expected the colours #000000 \(background\), #ff0000 .*#0000f0 \(400 pix"
    with pytest.raises(UserError, match=message):
        decode_labels(encoded(pixels), COLOURS, name="b.png")


def test_colours_are_written_and_read_again(tmp_path: Path) -> None:
    labels = drawn(1, 2)
    write_mask(tmp_path / "a.png", labels, COLOURS)
    assert np.array_equal(io.imread(tmp_path / "a.png"), to_pixels(labels, COLOURS))
    assert np.array_equal(read_labels(tmp_path / "a.png", COLOURS), labels)


@pytest.mark.parametrize("classes", [ONE, COLOURS, Classes.from_table({"a": 255})])
def test_a_shape_cut_out_by_alpha_is_refused_for_any_classes(classes: Classes) -> None:
    cut_out = np.dstack([np.full((120, 160, 3), 255, np.uint8), drawn()])
    with pytest.raises(UserError, match="alpha channel that is not opaque"):
        decode_labels(encoded(cut_out), classes)


def test_a_mask_in_bytes_is_written_as_one_of_bool(tmp_path: Path) -> None:
    mask = drawn() > 0
    for name, labels in (("a", mask), ("b", mask * np.uint8(255)), ("c", mask.astype(np.uint8))):
        write_mask(str(tmp_path / f"{name}.png"), labels)
        assert np.array_equal(read_labels(tmp_path / f"{name}.png"), mask)


def test_values_beyond_the_classes_are_refused() -> None:
    with pytest.raises(UserError, match="class indices 0 to 2, but there are up to 255"):
        to_pixels(drawn(), TWO)
    with pytest.raises(UserError, match="class indices 0 to 1, but there are up to 255"):
        class_masks(drawn(), drawn(), ONE)
