"""One mask of a package: decoded the organisers' way, and what is wrong with it."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from zlib_ng import zlib_ng

from metrics.masks.bits import Bits, pack
from metrics.masks.png import chunks, decode_png
from metrics.masks.read import (
    MAX_CHANNEL_SPREAD,
    THRESHOLDS,
    Mask,
    Protocol,
    decode_mask,
    is_turned,
    pack_grey,
)
from submissions.reading.archive import UNREADABLE, Archive, Limits
from submissions.reading.findings import Finding, Kind
from submissions.reading.image_header import Header, HeaderError, read_header

_Grey = npt.NDArray[np.uint8]

GREY: Final = slice(64, 192)
"""Grey values that no rim of a JPEG explains in number."""

MAX_GREY_SHARE: Final = 0.05
"""A JPEG may hold this share of them; a probability map holds far more."""

_STRICT_FROM: Final = 128
_AT_A_TIME: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """A mask's place in a package.

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


@dataclass(frozen=True, kw_only=True)
class Content:
    """A mask as it was read.

    Attributes:
        place: Where it lies.
        size: Its own height and width in pixels.
        lossy: Whether it is a JPEG.
        polyp_official: Pixels above 0.
        polyp_strict: Pixels above 127.
        decode: The mask by a protocol, bool (H, W).
        bits: The same, packed.
    """

    place: Place
    size: tuple[int, int]
    lossy: bool
    polyp_official: int
    polyp_strict: int
    decode: Callable[[Protocol], Mask]
    bits: Callable[[Protocol], Bits]


class Budget:
    """Samples that may still be decoded without knowing the right size; shared by threads."""

    def __init__(self, samples: int) -> None:
        self._left = samples
        self._lock = threading.Lock()

    def take(self, samples: int) -> bool:
        """Whether so many samples were left."""
        with self._lock:
            self._left -= samples
            return self._left >= 0


def read_content(
    archive: Archive, place: Place, limits: Limits, budget: Budget
) -> tuple[Content | None, list[Finding]]:
    """Read, decode and judge one mask.

    Returns:
        The mask, ``None`` where it cannot be decoded or must not be, and its faults.
    """
    try:
        data = archive.read(place.path)
    except UNREADABLE as error:
        return None, [_fault(place, "unreadable", f"cannot be read from the package ({error})")]
    try:
        header = read_header(data)
    except HeaderError as error:
        return None, [_fault(place, "unreadable", f"expected a mask image, but it is {error}")]
    faults = list(_size_faults(place, header, limits, budget))
    if any(fault.kind == "bomb" for fault in faults):
        return None, faults
    pixels = _decoded(data, header)
    if pixels is None:
        fault = _fault(place, "unreadable", f"a damaged {header.kind} that OpenCV cannot decode")
        return None, [*faults, fault]
    faults += _colour_faults(place, pixels)
    grey = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., 0])
    above_zero = pack(grey)
    histogram = _of_bits(above_zero) if header.faxed else _histogram(grey, above_zero)
    faults += _value_faults(place, header, histogram)
    return _content(place, data, header, grey, above_zero, histogram), faults


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep the decoders' own complaints about damaged images off standard error."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _size_faults(place: Place, header: Header, limits: Limits, budget: Budget) -> Iterator[Finding]:
    came, pixels = (header.height, header.width), header.height * header.width
    if came == place.size:
        return
    if place.size is not None:
        height, width = place.size
        message = f"{header.width} x {header.height} pixels; its frame has {width} x {height}"
        yield _fault(place, "size", message)
    if pixels > limits.pixels:
        message = (
            f"{header.width} x {header.height} pixels; without its frame's size at most "
            f"{limits.pixels:,} are decoded"
        )
        yield _fault(place, "bomb", message)
    elif not budget.take(pixels * header.samples * (3 if header.kind == "PNG" else 1)):
        message = (
            "not decoded: the masks before it were as many and large as are read without knowing "
            "their frames' sizes; give the frames too"
        )
        yield _fault(place, "bomb", message)


def _decoded(data: bytes, header: Header) -> _Grey | None:
    """The stored pixels, (H, W) or (H, W, channels); ``None`` where they are damaged.

    A strip as ``encoding`` writes it and a plain PNG hold the very bytes that OpenCV returns, and
    are unpacked directly. OpenCV fills in what it cannot decode, so for the rest Pillow, which does
    not, is asked too; of a JPEG or a fax neither can tell.
    """
    if header.deflated is not None:
        return _inflated(data[header.deflated], header.height, header.width)
    if (pixels := decode_png(data)) is not None:
        return pixels
    if header.kind == "PNG" and not _png_fits(data, header):
        return None
    try:
        stored = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.dtype != np.uint8:
        return None
    if stored.shape[:2] != (header.height, header.width):
        return None
    if header.kind != "JPEG" and not header.faxed and not _is_whole(data, header):
        return None
    return np.asarray(stored, dtype=np.uint8)


def _inflated(strip: bytes, height: int, width: int) -> _Grey | None:
    stream = zlib_ng.decompressobj()
    try:
        pixels = stream.decompress(strip, height * width + 1)
    except zlib_ng.error:  # type: ignore[misc]  # the stubs have an instance for the class
        return None
    if not stream.eof or len(pixels) != height * width:
        return None
    return np.frombuffer(pixels, dtype=np.uint8).reshape(height, width)


def _png_fits(data: bytes, header: Header) -> bool:
    """Whether a PNG's pixels unpack to what its size needs, and not to gigabytes behind it."""
    stream, size = zlib_ng.decompressobj(), 0
    # A byte before each row; of an interlaced image each row comes in up to eight pieces.
    most = header.height * (header.width * header.samples + 8) + 64
    try:
        for kind, start, length in chunks(data):
            packed = data[start : start + length] if kind == b"IDAT" else b""
            while packed and not stream.eof and size <= most:
                size += len(stream.decompress(packed, _AT_A_TIME))
                packed = stream.unconsumed_tail
    except zlib_ng.error:  # type: ignore[misc]  # as above
        return False
    return stream.eof and size <= most


def _is_whole(data: bytes, header: Header) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.size != (header.width, header.height):
                return False
            image.load()
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError):
        return False
    return True


def _colour_faults(place: Place, pixels: _Grey) -> Iterator[Finding]:
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        first, second, third = cv2.split(pixels[..., :3])
        spread = max(cv2.norm(first, other, cv2.NORM_INF) for other in (second, third))
        if spread > MAX_CHANNEL_SPREAD:
            yield _fault(place, "values", "coloured; expected a black and white mask")


def _histogram(grey: _Grey, above_zero: Bits) -> npt.NDArray[np.int64]:
    """How many pixels have each value; only where there are any above 0 are they looked at."""
    rows, columns = above_zero.box()
    looked_at = grey[rows, columns]
    histogram = np.zeros(256, dtype=np.int64)
    if looked_at.size:
        histogram += cv2.calcHist([looked_at], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    histogram[0] += grey.size - looked_at.size
    return histogram


def _of_bits(white: Bits) -> npt.NDArray[np.int64]:
    """The histogram of a black and white image, whose pixels OpenCV returns as 0 and 255."""
    histogram = np.zeros(256, dtype=np.int64)
    height, width = white.shape
    histogram[255] = white.pixels
    histogram[0] = height * width - histogram[255]
    return histogram


def _value_faults(
    place: Place, header: Header, histogram: npt.NDArray[np.int64]
) -> Iterator[Finding]:
    total = int(histogram.sum())
    between = total - int(histogram[0]) - int(histogram[255])
    if header.kind != "JPEG":
        if between:
            values = np.flatnonzero(histogram[1:255])[:5] + 1
            listed = ", ".join(map(str, values))
            yield _fault(
                place, "values", f"{between:,} pixels are neither 0 nor 255 (such as {listed})"
            )
    elif int(histogram[GREY].sum()) > MAX_GREY_SHARE * total:
        share = int(histogram[GREY].sum()) / total
        yield _fault(
            place, "values", f"{share:.0%} of the pixels are grey; expected a mask of 0 and 255"
        )


def _content(
    place: Place,
    data: bytes,
    header: Header,
    grey: _Grey,
    above_zero: Bits,
    histogram: npt.NDArray[np.int64],
) -> Content:
    def decode(protocol: Protocol) -> Mask:
        if is_turned(data, protocol=protocol):
            return decode_mask(data, protocol=protocol, name=place.path)
        return np.greater(grey, THRESHOLDS[protocol])

    def bits(protocol: Protocol) -> Bits:
        if is_turned(data, protocol=protocol):
            return pack(decode_mask(data, protocol=protocol, name=place.path))
        return pack_grey(grey, protocol=protocol) if THRESHOLDS[protocol] else above_zero

    return Content(
        place=place,
        size=(header.height, header.width),
        lossy=header.kind == "JPEG",
        polyp_official=int(histogram[1:].sum()),
        polyp_strict=int(histogram[_STRICT_FROM:].sum()),
        decode=decode,
        bits=bits,
    )


def _fault(place: Place, kind: Kind, message: str) -> Finding:
    return Finding(kind=kind, path=place.path, message=message)
