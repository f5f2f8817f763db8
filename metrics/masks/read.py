"""What a polyp pixel is: reading a mask and binarising it, by protocol.

``official`` decodes as the organisers' evaluator does: OpenCV in colour, first channel, every
value above 0 is polyp. ``strict`` takes values above 127, so that the rim of faint values that
JPEG leaves around an edge does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from metrics.masks.bits import Bits, pack
from metrics.masks.image import BGR_AS_STORED, decode, read_file
from metrics.masks.png import decode_png
from metrics.utils.errors import UserError

Protocol = Literal["official", "strict"]
Mask = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]

THRESHOLDS: Final[Mapping[Protocol, int]] = MappingProxyType({"official": 0, "strict": 127})
"""A pixel is polyp where its grey value lies above this."""

MAX_CHANNEL_SPREAD: Final = 32
"""How far the colour channels of a ``strict`` mask may differ; JPEG alone stays well below."""

_EXIF_SEARCHED_BYTES: Final = 4096


def read_mask(path: str | Path, *, protocol: Protocol = "strict") -> Mask:
    """Read a mask file and binarise it.

    Args:
        path: An image file of any kind that OpenCV reads; the content decides, not the name.
        protocol: Which pixels are polyp, see ``THRESHOLDS``.

    Returns:
        Bool array (H, W), True on the polyp; all False where the mask is empty.

    Raises:
        UserError: The file is missing, no image, truncated, or too large; with ``strict`` also
            where it is coloured.
    """
    return decode_mask(read_file(path), protocol=protocol, name=str(path))


def read_bits(path: str | Path, *, protocol: Protocol = "strict") -> Bits:
    """Read a mask file as ``read_mask`` does, but packed, which saves a pass over its pixels."""
    return pack_grey(_grey(read_file(path), protocol=protocol, name=str(path)), protocol=protocol)


def decode_mask(data: bytes, *, protocol: Protocol = "strict", name: str = "") -> Mask:
    """Binarise an encoded mask that is already in memory, such as a member of an archive.

    Args:
        data: The file's bytes.
        protocol: Which pixels are polyp, see ``THRESHOLDS``.
        name: What to call it in a message.

    Returns:
        Bool array (H, W), True on the polyp.

    Raises:
        UserError: As for ``read_mask``.

    Example:
        >>> data = cv2.imencode(".png", np.array([[0, 50, 200]], dtype=np.uint8))[1].tobytes()
        >>> decode_mask(data)
        array([[False, False,  True]])
        >>> decode_mask(data, protocol="official")
        array([[False,  True,  True]])
    """
    grey = _grey(data, protocol=protocol, name=name or "mask")
    # In place: the memory is fresh from the decoder, and asking for more costs as much time.
    return np.greater(grey, THRESHOLDS[protocol], out=grey.view(np.bool_))


def decode_grey(data: bytes, *, name: str = "") -> _Bytes:
    """The grey values of an encoded mask, uint8 (H, W), as ``strict`` reads them.

    Raises:
        UserError: As for ``read_mask``.

    Example:
        >>> decode_grey(cv2.imencode(".png", np.array([[0, 50]], dtype=np.uint8))[1].tobytes())
        array([[ 0, 50]], dtype=uint8)
    """
    return _grey(data, protocol="strict", name=name or "mask")


def pack_grey(grey: _Bytes, *, protocol: Protocol) -> Bits:
    """Binarise decoded grey values, uint8 (H, W), into bits.

    Example:
        >>> grey = np.array([[0, 50, 200]], dtype=np.uint8)
        >>> pack_grey(grey, protocol="official").pixels, pack_grey(grey, protocol="strict").pixels
        (2, 1)
    """
    threshold = THRESHOLDS[protocol]
    return pack(np.greater(grey, threshold) if threshold else grey)


def is_turned(data: bytes, *, protocol: Protocol) -> bool:
    """Whether an encoded mask may be turned by its EXIF tag, which OpenCV in colour follows."""
    return protocol == "official" and b"exif" in data[:_EXIF_SEARCHED_BYTES].lower()


def fit_prediction(
    mask_prediction: Mask, shape: tuple[int, int], *, protocol: Protocol = "strict", name: str = ""
) -> Mask:
    """Bring a prediction to its truth's size, or refuse it.

    ``official`` resizes with OpenCV's area interpolation on bytes of 0 and 1, which rounds, as
    the organisers' evaluator does. ``strict`` takes nothing but the exact size.

    Args:
        mask_prediction: Bool array (H, W).
        shape: Height and width of the truth in pixels.
        protocol: What to do with another size.
        name: What to call the prediction in a message.

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
    if protocol == "strict":
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


def _grey(data: bytes, *, protocol: Protocol, name: str) -> _Bytes:
    """The first channel as it is stored, of a file that is whole."""
    if not is_turned(data, protocol=protocol):
        if (plain := decode_png(data)) is not None:
            return plain
        pixels = decode(data, cv2.IMREAD_UNCHANGED, name=name)
        if pixels.dtype != np.uint8:
            pixels = decode(data, BGR_AS_STORED, name=name)
    else:
        pixels = decode(data, cv2.IMREAD_COLOR, name=name)
    if pixels.ndim == 2:
        return pixels
    if protocol == "strict":
        _refuse_coloured(pixels[..., :3], name=name)
    return np.ascontiguousarray(pixels[..., 0])


def _refuse_coloured(channels: _Bytes, *, name: str) -> None:
    spread = int(np.max(channels.max(axis=-1) - channels.min(axis=-1), initial=0))
    if spread > MAX_CHANNEL_SPREAD:
        raise UserError(
            f"{name}: expected a black and white mask, but its colour channels differ by up to "
            f"{spread} of 255. Save it as 0 for background and 255 for polyp."
        )
