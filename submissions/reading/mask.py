"""One mask of a package: read, decoded as the organisers decode it, and checked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from metrics.masks.bits import Bits, pack
from metrics.masks.faults import alpha_of, alpha_problem, colour_problem
from metrics.masks.read import THRESHOLDS, Mask, Protocol, decode_turned, is_turned, pack_grey
from metrics.utils.names import counted
from submissions.reading.archive import UNREADABLE, Archive, Limits
from submissions.reading.decode import Pixels, decode_pixels
from submissions.reading.findings import Finding
from submissions.reading.image_header import Header, HeaderError, read_header

GREY: Final = slice(64, 192)
"""Mid-grey values: few at the edges of a JPEG mask, many in a probability map."""

MAX_GREY_SHARE: Final = 0.05
"""The largest share of such pixels in a JPEG."""

_STRICT_FROM: Final = 128
_MOST: Final = 255
_WITH_ALPHA: Final = (2, 4)  # samples a pixel


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of a mask in a package.

    Attributes:
        path: Its name in the archive.
        test_set: Its test set.
        name: Its frame.
        size: Height and width of the frame in pixels, where known.
    """

    path: str
    test_set: str
    name: str
    size: tuple[int, int] | None


class Totals(NamedTuple):
    """What the notes on a package need of a mask: its pixels, those above 0 and above 127."""

    test_set: str
    lossy: bool
    pixels: int
    polyp_official: int
    polyp_strict: int


@dataclass(frozen=True, kw_only=True)
class Content:
    """A decoded mask.

    Attributes:
        place: Its place in the package.
        size: Its own height and width in pixels.
        totals: What is kept of it.
        decode: The mask by a protocol, bool (H, W).
        bits: The same, packed.
    """

    place: Place
    size: tuple[int, int]
    totals: Totals
    decode: Callable[[Protocol], Mask]
    bits: Callable[[Protocol], Bits]


class Budget:
    """How many samples may still be decoded where the frames' sizes are unknown; thread-safe."""

    def __init__(self, samples: int) -> None:
        self._left = samples
        self._lock = threading.Lock()

    def take(self, samples: int) -> bool:
        """Take samples; False where fewer were left."""
        with self._lock:
            self._left -= samples
            return self._left >= 0


def read_content(
    archive: Archive,
    place: Place,
    limits: Limits,
    budget: Budget,
    threshold: float | None = None,
) -> tuple[Content | None, list[Finding]]:
    """Read, decode and check one mask.

    Args:
        archive: Gives the file.
        place: The mask's.
        limits: How much is read at most.
        budget: How much may still be decoded.
        threshold: Where given, grey values are probabilities and no fault; polyp is above it.

    Returns:
        The mask (``None`` where it cannot or must not be decoded) and its faults.
    """

    def unreadable(why: str) -> Finding:
        return Finding("unreadable", place.path, why)

    try:
        data = archive.read(place.path)
    except UNREADABLE as error:
        return None, [unreadable(f"cannot be read from the package ({error})")]
    try:
        header = read_header(data)
    except HeaderError as error:
        return None, [unreadable(f"expected a mask image, but it is {error}")]
    faults = list(_size_faults(place, header, limits, budget))
    if any(fault.kind == "bomb" for fault in faults):
        return None, faults
    pixels = decode_pixels(data, header)
    if pixels is None:
        return None, [*faults, unreadable(f"a damaged {header.kind} that OpenCV cannot decode")]
    faults += _channel_faults(place, data, header, pixels)
    grey = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., 0])
    above_zero = pack(grey)
    histogram = _of_bits(above_zero) if header.faxed else _histogram(grey, above_zero)
    if threshold is not None:
        return _thresholded(place, grey, threshold), faults
    faults += _value_faults(place, header, histogram)
    return _content(place, data, header, grey, above_zero, histogram), faults


def _size_faults(place: Place, header: Header, limits: Limits, budget: Budget) -> Iterator[Finding]:
    came, pixels = (header.height, header.width), header.height * header.width
    if came == place.size:
        return
    if place.size is not None:
        height, width = place.size
        message = f"{header.width} x {header.height} pixels; its frame has {width} x {height}"
        yield Finding("size", place.path, message)
    if pixels > limits.pixels:
        message = (
            f"{header.width} x {header.height} pixels; of a mask that is not known to have its "
            f"frame's size at most {limits.pixels:,} are decoded"
        )
        yield Finding("bomb", place.path, message)
    elif not budget.take(pixels * header.samples * (3 if header.kind == "PNG" else 1)):
        message = (
            "not decoded: the masks before it were as many and large as are read without knowing "
            "their frames' sizes; give the frames too"
        )
        yield Finding("bomb", place.path, message)


def _channel_faults(place: Place, data: bytes, header: Header, pixels: Pixels) -> Iterator[Finding]:
    """Colours, and shapes that are told by transparency."""
    if pixels.ndim == 3 and colour_problem(pixels):
        yield Finding("values", place.path, "coloured; expected a black and white mask")
    may_have_alpha = header.samples in _WITH_ALPHA or (header.kind == "PNG" and b"tRNS" in data)
    if may_have_alpha and (problem := alpha_problem(alpha_of(data))):
        yield Finding("values", place.path, f"it has {problem}")


def _histogram(grey: Pixels, above_zero: Bits) -> npt.NDArray[np.int64]:
    """The number of pixels of each value."""
    # Masks are mostly 0: only the box around the pixels above 0 is counted.
    rows, columns = above_zero.box()
    looked_at = grey[rows, columns]
    histogram = np.zeros(256, dtype=np.int64)
    if looked_at.size:
        histogram += cv2.calcHist([looked_at], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    histogram[0] += grey.size - looked_at.size
    return histogram


def _of_bits(white: Bits) -> npt.NDArray[np.int64]:
    """The histogram of a one-bit image, which OpenCV decodes to 0 and 255."""
    histogram = np.zeros(256, dtype=np.int64)
    height, width = white.shape
    histogram[255] = white.pixels
    histogram[0] = height * width - histogram[255]
    return histogram


def _value_faults(
    place: Place, header: Header, histogram: npt.NDArray[np.int64]
) -> Iterator[Finding]:
    total = int(histogram.sum())
    grey, between = int(histogram[GREY].sum()), int(histogram[1:255].sum())
    if header.kind == "JPEG":
        if grey > MAX_GREY_SHARE * total:
            message = f"{grey / total:.0%} of the pixels are grey; expected a mask of 0 and 255"
            yield Finding("values", place.path, message)
    elif between:
        listed = ", ".join(map(str, np.flatnonzero(histogram[1:255])[:5] + 1))
        are = counted(between, "pixel is", "pixels are")
        yield Finding("values", place.path, f"{are} neither 0 nor 255 (such as {listed})")


def _content(
    place: Place,
    data: bytes,
    header: Header,
    grey: Pixels,
    above_zero: Bits,
    histogram: npt.NDArray[np.int64],
) -> Content:
    def decode(protocol: Protocol) -> Mask:
        if is_turned(data, protocol=protocol):
            return decode_turned(data, name=place.path)
        return np.greater(grey, THRESHOLDS[protocol])

    def bits(protocol: Protocol) -> Bits:
        if is_turned(data, protocol=protocol):
            return pack(decode_turned(data, name=place.path))
        return pack_grey(grey, protocol=protocol) if THRESHOLDS[protocol] else above_zero

    above = int(histogram[1:].sum()), int(histogram[_STRICT_FROM:].sum())
    totals = Totals(place.test_set, header.kind == "JPEG", grey.size, *above)
    return Content(place=place, size=above_zero.shape, totals=totals, decode=decode, bits=bits)


def _thresholded(place: Place, grey: Pixels, threshold: float) -> Content:
    """A map of probabilities as a mask, by every protocol."""
    mask = np.greater(grey, threshold * _MOST)
    bits = pack(mask)
    # What JPEG does to a rim of 0 and 255 is no matter here, so it does not count as lossy.
    totals = Totals(place.test_set, False, grey.size, bits.pixels, bits.pixels)
    return Content(
        place=place, size=bits.shape, totals=totals, decode=lambda _: mask, bits=lambda _: bits
    )
