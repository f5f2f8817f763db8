"""What a polyp pixel is: reading a mask and binarising it, by protocol.

``official`` decodes as the organisers' evaluator does: OpenCV in colour, first channel, every
value above 0 is polyp. ``strict`` takes values above 127, so that the rim of faint values that
JPEG leaves around an edge does not count.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from metrics.masks.bits import Bits, pack
from metrics.masks.png import decode_png
from metrics.utils.errors import UserError

Protocol = Literal["official", "strict"]
Mask = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]

THRESHOLDS: Final[Mapping[Protocol, int]] = MappingProxyType({"official": 0, "strict": 127})
"""A pixel is polyp where its grey value lies above this."""

MAX_PIXELS: Final = 100_000_000
"""Larger images are refused from their header, before anything is decoded."""

MAX_CHANNEL_SPREAD: Final = 32
"""How far the colour channels of a ``strict`` mask may differ; JPEG alone stays well below."""

_EXIF_SEARCHED_BYTES: Final = 4096
_WARNINGS: Final = threading.Lock()
_TIFF_CHUNKS: Final = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width in pixels from an image's header; no pixel is decoded.

    Raises:
        UserError: The file cannot be read, is no image, or has more than ``MAX_PIXELS``.
    """
    try:
        with Path(path).open("rb") as stream, _header(stream, name=str(path)) as image:
            return image.height, image.width
    except OSError as error:
        raise _unreadable(path, error) from error


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
    """
    grey = _grey(data, protocol=protocol, name=name or "mask")
    # In place: the memory is fresh from the decoder, and asking for more costs as much time.
    return np.greater(grey, THRESHOLDS[protocol], out=grey.view(np.bool_))


def decode_grey(data: bytes, *, name: str = "") -> _Bytes:
    """The grey values of an encoded mask, uint8 (H, W), as ``strict`` reads them.

    Raises:
        UserError: As for ``read_mask``.
    """
    return _grey(data, protocol="strict", name=name or "mask")


def pack_grey(grey: _Bytes, *, protocol: Protocol) -> Bits:
    """Binarise decoded grey values, uint8 (H, W), into bits."""
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings from the user, who gets one message; the filters are process-wide."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_file(path: str | Path) -> bytes:
    """A file's bytes.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _grey(data: bytes, *, protocol: Protocol, name: str) -> _Bytes:
    """The first channel as it is stored, of a file that is whole."""
    with _header(io.BytesIO(data), name=name) as image:
        if not _is_whole(data, image):
            _refuse_truncated(image, name=name)
    return _decode(data, protocol=protocol, name=name)


def _header(stream: io.BufferedIOBase, *, name: str) -> Image.Image:
    try:
        with _quiet():
            image = Image.open(stream)  # type: ignore[arg-type]
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"{name}: expected an image, but it cannot be recognised as one. "
            "Replace the file with a whole copy."
        ) from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name)
    return image


def _is_whole(data: bytes, image: Image.Image) -> bool:
    """Whether the end of the file is there, told from its structure without decoding it."""
    if image.format in {"JPEG", "MPO"}:
        end = b"\xff\xd9"
        return data.endswith(end) or data.rfind(end) > data.rfind(b"\xff\xda")
    if image.format == "PNG":
        return data.rfind(b"IEND") > 0
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        ends = [
            start + size
            for offsets, sizes in _TIFF_CHUNKS
            for start, size in zip(tags.get(offsets, ()), tags.get(sizes, ()), strict=False)
        ]
        return bool(ends) and max(ends) <= len(data)
    return False


def _refuse_truncated(image: Image.Image, *, name: str) -> None:
    """Decode with Pillow, which complains of missing data where OpenCV may fill it in."""
    if image.format == "TIFF":
        raise _damaged(name, "data lies beyond the end of the file")
    try:
        with _quiet():
            image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise _damaged(name, str(error)) from error


def _decode(data: bytes, *, protocol: Protocol, name: str) -> _Bytes:
    turned = is_turned(data, protocol=protocol)
    if not turned and (plain := decode_png(data)) is not None:
        return plain
    buffer = np.frombuffer(data, dtype=np.uint8)
    try:
        pixels = None if turned else cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.dtype != np.uint8:
            flags = cv2.IMREAD_COLOR if turned else _COLOUR_AS_STORED
            pixels = cv2.imdecode(buffer, flags)
    except cv2.error as error:
        raise _undecodable(name) from error
    if pixels is None:
        raise _undecodable(name)
    grey = np.asarray(pixels, dtype=np.uint8)
    if grey.ndim == 2:
        return grey
    if protocol == "strict":
        _refuse_coloured(grey[..., :3], name=name)
    return np.ascontiguousarray(grey[..., 0])


_COLOUR_AS_STORED: Final = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def _refuse_coloured(channels: _Bytes, *, name: str) -> None:
    spread = int(np.max(channels.max(axis=-1) - channels.min(axis=-1), initial=0))
    if spread > MAX_CHANNEL_SPREAD:
        raise UserError(
            f"{name}: expected a black and white mask, but its colour channels differ by up to "
            f"{spread} of 255. Save it as 0 for background and 255 for polyp."
        )


def _unreadable(path: str | Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: cannot be read ({error.strerror or error}). Check the path and its permissions."
    )


def _damaged(name: str, why: str) -> UserError:
    return UserError(
        f"{name}: the image is truncated or damaged ({why}). Replace the file with a whole copy."
    )


def _too_large(name: str) -> UserError:
    return UserError(
        f"{name}: expected at most {MAX_PIXELS // 1_000_000} megapixels, but the header says "
        "more. Such a file is not decoded; save it at its frame's own size."
    )


def _undecodable(name: str) -> UserError:
    return UserError(f"{name}: an image that OpenCV cannot decode. Save it as PNG, TIFF or JPEG.")
