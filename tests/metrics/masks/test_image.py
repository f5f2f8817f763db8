"""Images are decoded whole or refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from metrics.masks.image import MAX_PIXELS, RGB_AS_STORED, decode, is_still, read_size
from metrics.utils.errors import Fault, UserError, or_fault

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def odd_tiff(shape: tuple[int, int, int] = PIXELS.shape, **options: object) -> bytes:
    """Colour that is declared as grey with two extra samples."""
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        np.resize(PIXELS, shape),
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unspecified"] * (shape[2] - 1),
        **options,
    )
    return stream.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_that_pillow_refuses_is_read_in_colour(order: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.tif"
    path.write_bytes(odd_tiff(byteorder=order))
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(path)

    assert read_size(path) == (24, 32)
    assert np.array_equal(decode(path.read_bytes(), RGB_AS_STORED, name="odd.tif"), PIXELS)


def test_such_a_tiff_may_hold_one_channel_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "planes.tif"
    planes = np.moveaxis(PIXELS, -1, 0)
    tifffile.imwrite(path, planes, photometric="minisblack", planarconfig="separate")
    assert read_size(path) == (24, 32)
    assert np.array_equal(decode(path.read_bytes(), RGB_AS_STORED, name="planes.tif"), PIXELS)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_such_a_tiff_cut_short_is_refused(share: float) -> None:
    data = odd_tiff()
    with pytest.raises(UserError, match=r"odd\.tif: the image is truncated or damaged"):
        decode(data[: int(share * len(data))], RGB_AS_STORED, name="odd.tif")


def test_such_a_tiff_as_a_mask_is_read_too() -> None:
    read = decode(odd_tiff(), cv2.IMREAD_UNCHANGED, name="mask.tif")
    assert np.array_equal(read, PIXELS[..., ::-1])


def test_such_a_tiff_of_other_channels_is_told(tmp_path: Path) -> None:
    path = tmp_path / "five.tif"
    path.write_bytes(odd_tiff((24, 32, 5)))
    with pytest.raises(UserError, match=r"five\.tif: a TIFF of 5 channels of uint8, which is not"):
        read_size(path)


def test_such_a_tiff_of_a_compression_that_is_not_read_is_told(tmp_path: Path) -> None:
    data = bytearray(odd_tiff())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags["Compression"].valueoffset
    data[place : place + 2] = int(tifffile.COMPRESSION.LZW).to_bytes(2, "little")
    path = tmp_path / "lzw.tif"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"lzw\.tif: a TIFF .* compressed by LZW, which is not"):
        read_size(path)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (np.float32, "a TIFF of 32-bit floating point"),
        (np.int32, "a TIFF of 32-bit integers"),
        (np.float64, "a TIFF of 1 channels of float64"),
    ],
)
def test_a_tiff_of_other_numbers_is_told(kind: type, said: str) -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, PIXELS[..., 0].astype(kind))
    with pytest.raises(UserError, match=rf"deep\.tif: {said}"):
        decode(stream.getvalue(), RGB_AS_STORED, name="deep.tif")


def test_such_a_tiff_may_be_too_large(tmp_path: Path) -> None:
    data = bytearray(odd_tiff())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags["ImageWidth"].valueoffset
    data[place : place + 4] = (MAX_PIXELS // 24 + 1).to_bytes(4, "little")
    path = tmp_path / "huge.tif"
    path.write_bytes(data)
    with pytest.raises(UserError, match="100 megapixels"):
        read_size(path)


def test_postscript_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was_run\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "EPS")
    with pytest.raises(UserError, match=r"frame\.jpg: a EPS of mode RGB, which OpenCV cannot"):
        decode(stream.getvalue(), RGB_AS_STORED, name="frame.jpg")
    assert not (tmp_path / "was_run").exists()


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(UserError, match=r"empty\.png: expected .* but the file is empty"):
        read_size(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_frame_of_16_bits_is_read_unless_its_upper_bits_are_unused(suffix: str) -> None:
    deep = PIXELS.astype(np.uint16)
    full = bytes(cv2.imencode(suffix, deep[..., ::-1] * 257)[1])
    assert np.array_equal(decode(full, RGB_AS_STORED, name="full"), PIXELS)
    dark = bytes(cv2.imencode(suffix, deep)[1])
    with pytest.raises(UserError, match=r"dark: an image of 16 bits .* black in 8 bits"):
        decode(dark, RGB_AS_STORED, name="dark")
    black = bytes(cv2.imencode(suffix, PIXELS * 0)[1])
    assert not decode(black, RGB_AS_STORED, name="black").any()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_file_of_several_images_is_refused_unless_the_others_are_thumbnails(kind: str) -> None:
    first = Image.fromarray(PIXELS)
    streams = io.BytesIO(), io.BytesIO()
    first.save(streams[0], kind, save_all=True, append_images=[first.rotate(180)])
    with pytest.raises(UserError, match=f"stack: a {kind} of 2 images"):
        decode(streams[0].getvalue(), RGB_AS_STORED, name="stack")
    if kind == "TIFF":
        first.save(streams[1], kind, save_all=True, append_images=[first.resize((8, 6))])
        assert np.array_equal(decode(streams[1].getvalue(), RGB_AS_STORED, name="one"), PIXELS)


@pytest.mark.parametrize("tag", [256, 258, 259, 273, 279])
def test_a_tiff_with_a_damaged_header_is_refused_or_read(tag: int, tmp_path: Path) -> None:
    """The tag gets another number, or another type; libraries raise anything for that."""
    path = tmp_path / "damaged.tif"
    for data in (odd_tiff(), bytes(cv2.imencode(".tif", PIXELS)[1])):
        place = data.index(tag.to_bytes(2, "little"), 8)
        for at, value in ((place, 255), *((place + 2, kind) for kind in (2, 5, 11, 12))):
            path.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
            for found in (
                or_fault(read_size)(path),
                or_fault(lambda whole: decode(whole, RGB_AS_STORED, name=path.name))(
                    path.read_bytes()
                ),
            ):
                assert not isinstance(found, Fault) or "damaged.tif: " in found.message
            is_still(path)
