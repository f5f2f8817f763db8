"""Decode a mask of a package in bounded memory, refusing what is damaged."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from metrics.masks.complaints import jpeg_damage, watch
from metrics.masks.png import chunks
from submissions.reading.image_header import Header

Pixels = npt.NDArray[np.uint8]

_AT_A_TIME: Final = 1 << 20  # bytes


def decode_pixels(data: bytes, header: Header) -> Pixels | None:
    """Decode an image as the organisers' OpenCV does, and refuse one that is damaged.

    Returns:
        The stored pixels, uint8 (H, W) or (H, W, channels) with OpenCV's order of colours, or
        ``None`` where they are damaged.
    """
    # The deflated strip that writing.encoding makes holds the very bytes that OpenCV would return.
    if header.deflated is not None:
        return _inflated(data[header.deflated], header.height, header.width)
    if header.kind == "PNG" and not _png_fits(data, header):
        return None
    try:
        stored, said = watch(
            lambda: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        )
    except cv2.error:
        return None
    size = (header.height, header.width)
    if stored is None or stored.dtype != np.uint8 or stored.shape[:2] != size:
        return None
    # OpenCV fills in what it cannot decode. Pillow refuses a damaged image, except a JPEG, of which
    # libjpeg's lines tell, or a fax, where nothing can.
    if header.kind == "JPEG":
        whole = not jpeg_damage(said)
    else:
        whole = header.faxed or _is_whole(data, header)
    return np.asarray(stored, dtype=np.uint8) if whole else None


def _inflated(strip: bytes, height: int, width: int) -> Pixels | None:
    # One byte more than the image needs is asked for: a strip that holds more is refused without
    # ever being unpacked further.
    stream = zlib.decompressobj()
    try:
        pixels = stream.decompress(strip, height * width + 1)
    except zlib.error:
        return None
    if not stream.eof or len(pixels) != height * width:
        return None
    return np.frombuffer(pixels, dtype=np.uint8).reshape(height, width)


def _png_fits(data: bytes, header: Header) -> bool:
    """Whether a PNG's pixels unpack to what its size needs, and not to gigabytes beyond it."""
    # Decoders stop at the pixels they need but may still inflate all that follows. The data is
    # inflated here first, a MiB at a time and thrown away, so memory stays flat whatever it holds.
    stream, size = zlib.decompressobj(), 0
    # A byte before each row; of an interlaced image each row comes in up to eight pieces.
    most = header.height * (header.width * header.samples + 8) + 64
    try:
        for kind, start, length in chunks(data):
            packed = data[start : start + length] if kind == b"IDAT" else b""
            while packed and not stream.eof and size <= most:
                size += len(stream.decompress(packed, _AT_A_TIME))
                packed = stream.unconsumed_tail
    except zlib.error:
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
