"""What a polyp pixel is: reading a mask and binarising it, by protocol.

``official`` decodes as the organisers' evaluator does: OpenCV in colour, first channel, every
value above 0 is polyp. ``strict`` takes values above 127, so that the rim of faint values that
JPEG leaves around an edge does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from metrics.masks.bits import Bits, pack
from metrics.masks.faults import examine
from metrics.masks.image import decode, read_file
from metrics.utils.errors import UserError
from metrics.utils.validation import look_up

Protocol = Literal["official", "strict"]
Mask = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]

THRESHOLDS: Final[Mapping[Protocol, int]] = MappingProxyType({"official": 0, "strict": 127})
"""A pixel is polyp where its grey value lies above this."""

_EXIF_SEARCHED_BYTES: Final = 4096


def as_mask(pixels: npt.NDArray[Any]) -> Mask:
    """A mask of any type as bool; 0 is background, whatever the one other value is.

    Raises:
        UserError: It has more than two values, as a probability map, a JPEG and class indices do.

    Example:
        >>> as_mask(np.array([[0, 255]], dtype=np.uint8))
        array([[False,  True]])
    """
    pixels = np.asarray(pixels)
    if pixels.dtype == np.bool_:
        return pixels
    mask: Mask = pixels != 0
    if not np.array_equal(pixels, mask * pixels.max(initial=0)):
        raise UserError(
            f"expected a mask of True and False, or of 0 and one value, but the array of "
            f"{pixels.dtype} has others. Compare it first, such as 'grey > 127' or 'map > 0.5'."
        )
    return mask


def read_mask(path: str | Path, *, protocol: Protocol = "strict") -> Mask:
    """Read a mask file and binarise it.

    Args:
        path: An image file of any kind that OpenCV reads; the content decides, not the name.
        protocol: Which pixels are polyp, see ``THRESHOLDS``.

    Returns:
        Bool array (H, W), True on the polyp.

    Raises:
        UserError: The file is missing, no image, truncated, too large, or has a problem of those
            in ``metrics.masks.faults``.
    """
    return decode_mask(read_file(path), protocol=protocol, name=str(path))


def decode_bits(data: bytes, *, protocol: Protocol = "strict", name: str = "") -> Bits:
    """As ``decode_mask``, but packed, which saves a pass over the pixels."""
    return pack_grey(decode_grey(data, name=name or "mask"), protocol=protocol)


def decode_mask(data: bytes, *, protocol: Protocol = "strict", name: str = "") -> Mask:
    """Binarise an encoded mask that is already in memory, such as a member of an archive.

    Otherwise as :func:`read_mask`; ``name`` is what messages call it.

    Example:
        >>> data = cv2.imencode(".png", np.array([[0, 7, 248]], dtype=np.uint8))[1].tobytes()
        >>> decode_mask(data)
        array([[False, False,  True]])
        >>> decode_mask(data, protocol="official")
        array([[False,  True,  True]])
    """
    grey = decode_grey(data, name=name or "mask")
    # In place: the memory is fresh from the decoder, and asking for more costs as much time.
    return np.greater(grey, look_up(THRESHOLDS, protocol, "protocol"), out=grey.view(np.bool_))


def pack_grey(grey: _Bytes, *, protocol: Protocol) -> Bits:
    """Binarise decoded grey values, uint8 (H, W), into bits.

    Example:
        >>> grey = np.array([[0, 50, 200]], dtype=np.uint8)
        >>> pack_grey(grey, protocol="official").pixels, pack_grey(grey, protocol="strict").pixels
        (2, 1)
    """
    threshold = look_up(THRESHOLDS, protocol, "protocol")
    return pack(np.greater(grey, threshold) if threshold else grey)


def is_turned(data: bytes, *, protocol: Protocol) -> bool:
    """Whether an encoded mask may be turned by its EXIF tag, which OpenCV in colour follows."""
    return protocol == "official" and b"exif" in data[:_EXIF_SEARCHED_BYTES].lower()


def fit_prediction(
    mask_prediction: Mask, shape: tuple[int, int], *, protocol: Protocol = "strict", name: str = ""
) -> Mask:
    """Bring a prediction to its truth's size, or refuse it.

    ``official`` resizes with OpenCV's area interpolation on bytes of 0 and 1, which rounds, as
    the organisers' evaluator does. ``strict`` takes nothing but the truth's own ``shape``, (H, W).

    Raises:
        UserError: The size differs and the protocol is ``strict``.

    Example:
        >>> half = np.array([[True, False]])
        >>> fit_prediction(half, (2, 4), protocol="official")
        array([[ True,  True, False, False],
               [ True,  True, False, False]])
    """
    if mask_prediction.shape == shape:
        return mask_prediction
    height, width = shape
    if protocol != "official":
        came_height, came_width = mask_prediction.shape
        raise UserError(
            f"{name or 'prediction'}: expected {width} x {height} pixels, the size of the truth, "
            f"but it has {came_width} x {came_height}. Save it at its frame's own size, or score "
            "it by the official protocol, which resizes."
        )
    resized = cv2.resize(
        mask_prediction.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA
    )
    return np.greater(resized, 0)


def decode_turned(data: bytes, *, name: str) -> Mask:
    """A mask of a package as the organisers' OpenCV has it, which follows an EXIF tag.

    Raises:
        UserError: It is no image, truncated, damaged or too large.
    """
    first: _Bytes = decode(data, cv2.IMREAD_COLOR, name=name)[..., 0]
    return np.greater(first, THRESHOLDS["official"])


def decode_grey(data: bytes, *, name: str) -> _Bytes:
    """The grey values of a mask without problems, uint8 (H, W)."""
    found = examine(data, name=name)
    if found.problem:
        raise UserError(f"{name}: {found.problem}.")
    return found.pixels
