"""Encode a mask as a file that the organisers' decoder, OpenCV, reads back without loss.

``jpg`` is the smallest such file: a TIFF by CCITT group 4, the fax code for black and white, or of
one deflated strip of 8 bits where a mask is so ragged that this is smaller. Pillow reads the former
too; scikit-image only with further packages. ``tif`` is always the deflated strip, which all three
read as 0 and 255. ``tests/benchmarks/bench_submissions.py`` prints the sizes of these and others.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from metrics.frame.pixel_counts import Counts, count
from metrics.masks.read import Mask
from metrics.utils.errors import UserError

Format = Literal["jpg", "tif", "png", "jpeg"]

SUFFIXES: Final[dict[Format, str]] = {"jpg": ".jpg", "tif": ".tif", "png": ".png", "jpeg": ".jpg"}
"""``jpg``: TIFF under the name that the organisers' glob finds; ``jpeg``: a lossy JPEG."""

JPEG_QUALITY: Final = 95

_BEST_DEFLATE: Final = 1030  # deflate's highest compression ratio
_SHORT, _LONG = 3, 4
_DEFLATE = 8
_ENTRY = struct.Struct("<HHII")
_HEADER = struct.Struct("<2sHIH")


@dataclass(frozen=True, kw_only=True)
class EncodedMask:
    """An encoded mask.

    Attributes:
        data: The file's bytes.
        counts: The mask (as truth) against the one that the organisers read back (as prediction);
            fp and fn are 0 where nothing was lost.
    """

    data: bytes
    counts: Counts


def encode_mask(mask: Mask, file_format: Format = "jpg", *, name: str = "mask") -> EncodedMask:
    """Encode a mask, and check that the organisers' decoder (OpenCV, > 0) reads it back.

    Args:
        mask: Bool array (H, W), True on the polyp.
        file_format: ``jpg``, ``tif`` and ``png`` are lossless; ``jpeg`` loses precision, see
            :attr:`EncodedMask.counts`.
        name: Its name in messages.

    Raises:
        UserError: The array is no mask, or the installed OpenCV reads back another one.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0:
        raise UserError(
            f"{name}: expected a boolean array (height, width) with at least one pixel, but it is "
            f"{mask.dtype} of shape {mask.shape}. Binarise it first."
        )
    pixels = np.ascontiguousarray(mask).view(np.uint8) * np.uint8(255)
    data = _encoded(mask, pixels, file_format)
    decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    if decoded is None or decoded.shape != mask.shape:
        raise _not_read_back(name)
    lossless = file_format != "jpeg"
    if lossless and cv2.norm(decoded, pixels, cv2.NORM_INF) != 0:
        raise _not_read_back(name)
    return EncodedMask(data=data, counts=count(mask, np.greater(decoded, 0)))


def _encoded(mask: Mask, pixels: npt.NDArray[np.uint8], file_format: Format) -> bytes:
    if file_format == "jpeg":
        return _by_opencv(pixels, ".jpg", cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    if file_format == "png":
        return _by_opencv(pixels, ".png", cv2.IMWRITE_PNG_COMPRESSION, 9)
    height, width = mask.shape
    if file_format == "tif":
        return _deflated_tiff(pixels.tobytes(), height=height, width=width)
    faxed = _faxed_tiff(mask)
    # Where even perfect deflation could not be smaller than the fax, it is not tried.
    if len(faxed) * _BEST_DEFLATE < mask.size:
        return faxed
    return min(faxed, _deflated_tiff(pixels.tobytes(), height=height, width=width), key=len)


def _by_opencv(pixels: npt.NDArray[np.uint8], suffix: str, *options: int) -> bytes:
    _, buffer = cv2.imencode(suffix, pixels, options)
    return buffer.tobytes()


def _faxed_tiff(mask: Mask) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "TIFF", compression="group4")
    return stream.getvalue()


def _deflated_tiff(pixels: bytes, *, height: int, width: int) -> bytes:
    """A grey TIFF (8 bits, black is zero) of one strip, by the TIFF 6.0 specification."""
    strip = zlib.compress(pixels, 9)
    tags = [
        (256, _LONG, width),
        (257, _LONG, height),
        (258, _SHORT, 8),  # bits a sample
        (259, _SHORT, _DEFLATE),
        (262, _SHORT, 1),  # black is zero
        (273, _LONG, 0),  # where the strip begins, filled in below
        (277, _SHORT, 1),  # samples a pixel
        (278, _LONG, height),  # rows in the strip
        (279, _LONG, len(strip)),
    ]
    start = _HEADER.size + len(tags) * _ENTRY.size + 4
    entries = b"".join(
        _ENTRY.pack(tag, kind, 1, start if tag == 273 else value) for tag, kind, value in tags
    )
    return _HEADER.pack(b"II", 42, 8, len(tags)) + entries + bytes(4) + strip


def _not_read_back(name: str) -> UserError:
    return UserError(
        f"{name}: the installed OpenCV ({cv2.__version__}) does not read the encoded mask back as "
        "it was. Install the opencv-python-headless that the project names."
    )
