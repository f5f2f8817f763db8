from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submissions.reading.image_header import HeaderError, read_header
from submissions.writing.encoding import encode_mask

MASK = np.zeros((21, 34), bool)
WHITE = np.full((21, 34), 255, np.uint8)


def written(suffix: str, image: np.ndarray) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


FILES = {
    "TIFF": encode_mask(MASK, "tif").data,
    "JPEG": written(".jpg", WHITE),
    "PNG": written(".png", WHITE),
    "BMP": written(".bmp", WHITE),
}


@pytest.mark.parametrize("kind", FILES)
def test_size_and_kind_come_from_the_content(kind: str) -> None:
    header = read_header(FILES[kind])
    assert (header.kind, header.height, header.width) == (kind, 21, 34)


def test_opencvs_own_tiff_and_colour_are_read() -> None:
    colour = np.zeros((9, 7, 3), np.uint8)
    for suffix in (".tif", ".jpg", ".png", ".bmp"):
        header = read_header(written(suffix, colour))
        assert (header.height, header.width) == (9, 7)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_cut_short_is_refused(kind: str, share: float) -> None:
    data = FILES[kind]
    with pytest.raises(HeaderError):
        read_header(data[: int(len(data) * share)])


def place_of(data: bytes, tag: int) -> int:
    """Where a TIFF's entry of a tag begins."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for index in range(count):
        place = start + 2 + 12 * index
        if struct.unpack_from("<H", data, place)[0] == tag:
            return place
    raise AssertionError(tag)


def patched(data: bytes, tag: int, value: int) -> bytes:
    """The TIFF with another value of a tag that it has."""
    place = place_of(data, tag)
    return data[: place + 8] + struct.pack("<I", value) + data[place + 12 :]


def test_a_fax_is_told_from_numbers_of_colours() -> None:
    fax = encode_mask(MASK, "jpg").data
    assert read_header(fax).faxed
    assert read_header(patched(fax, 262, 0)).faxed  # white is zero
    assert not read_header(patched(fax, 262, 3)).faxed
    assert not read_header(FILES["TIFF"]).faxed


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (258, 16, "more than 8 bits"),
        (277, 9, "4 channels"),
        (256, 0, "0 x 21"),
        (279, 1 << 30, "cut short"),
    ],
)
def test_a_tiff_that_asks_for_too_much_is_refused(tag: int, value: int, message: str) -> None:
    with pytest.raises(HeaderError, match=message):
        read_header(patched(FILES["TIFF"], tag, value))


def test_a_tag_of_a_type_that_some_readers_pass_over_is_not_passed_over() -> None:
    assert read_header(FILES["TIFF"]).deflated is not None
    data = bytearray(FILES["TIFF"])
    place = place_of(data, 277)
    data[place + 2] = 8  # a signed 16-bit number
    with pytest.raises(HeaderError, match="tag 277 is of an unusual type"):
        read_header(bytes(data))
    data[place : place + 2] = struct.pack("<H", 276)  # one that is not read is left to OpenCV
    assert read_header(bytes(data)).deflated is None


def test_a_tiff_with_a_repeated_tag_is_refused() -> None:
    data = bytearray(FILES["TIFF"])
    data[22:24] = struct.pack("<H", 256)  # the second tag becomes the first once more
    with pytest.raises(HeaderError, match="repeated"):
        read_header(bytes(data))


def test_a_sixteen_bit_png_and_an_unknown_format_are_refused() -> None:
    with pytest.raises(HeaderError, match="8 bits"):
        read_header(written(".png", np.zeros((4, 4), np.uint16)))
    with pytest.raises(HeaderError, match="not a TIFF"):
        read_header(b"GIF89a" + bytes(40))


@given(kind=st.sampled_from(sorted(FILES)), data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_damage_escapes_as_another_error(kind: str, data: st.DataObject) -> None:
    whole = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, min(len(whole) - 1, 160)))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    try:
        header = read_header(bytes(whole[:end]))
    except HeaderError:
        return
    assert header.height > 0
    assert header.width > 0
