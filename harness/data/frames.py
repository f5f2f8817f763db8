"""From a frame's file to pixels, whole or not at all.

Frames are decoded by content, not by name, in colour, and as they are stored: an EXIF orientation
is ignored, for frames and for masks alike, so that the two always lie on each other.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metrics.masks.classes import ONE, Classes
from metrics.masks.labels import Labels, read_labels
from metrics.masks.read import Protocol
from metrics.utils.errors import UserError

Interpolation = Literal["bilinear", "nearest"]

MAX_PIXELS: Final = 100_000_000
"""Larger images are refused from their header, before anything is decoded."""

_MEGA: Final = 1_000_000
_COLOUR_AS_STORED: Final = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_TIFF_ENTRY: Final = 12
_TIFF_PHOTOMETRIC, _TIFF_SAMPLES, _TIFF_EXTRA_SAMPLES = 262, 277, 338
_TIFF_BLACK_IS_ZERO, _TIFF_RGB = 1, 2
_RGB: Final = 3


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a frame.

    Args:
        path: A JPEG, PNG, TIFF or BMP file.

    Returns:
        NDArray: uint8 (H, W, 3), RGB; a grey image has three equal channels.

    Raises:
        UserError: If the file is missing, no image, truncated or larger than ``MAX_PIXELS``.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}). "
            "Check the path and its permissions."
        ) from error
    return decode_image(data, name=str(path))


def decode_image(data: bytes, *, name: str = "image") -> NDArray[np.uint8]:
    """Decode a frame that is already in memory.

    OpenCV fills in what a truncated file lacks without a word, so the end of the file is looked
    for first, and where it is not found Pillow, which complains, decides.

    Args:
        data: The file's bytes.
        name: What to call it in a message.

    Returns:
        NDArray: uint8 (H, W, 3), RGB.

    Raises:
        UserError: As for :func:`read_image`.
    """
    if is_tiff(data):
        data = tag_as_colour(data)
    _check(data, name)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _COLOUR_AS_STORED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UserError(f"{name}: cannot be decoded. Save it anew as JPEG, PNG or TIFF.")
    return np.asarray(pixels, dtype=np.uint8)


def resize_image(
    image: NDArray[np.uint8], size: int, *, interpolation: Interpolation = "bilinear"
) -> NDArray[np.uint8]:
    """A frame at the network's square size; its aspect ratio is not kept, as in the paper.

    Args:
        image: uint8 (H, W, 3).
        size: Side wanted, in pixels.
        interpolation: ``bilinear``, the paper's, weighs every pixel that an output pixel covers
            when it shrinks, so that highlights do not flicker; ``nearest`` is what the authors'
            published code does.

    Returns:
        NDArray: uint8 (size, size, 3), contiguous; the image itself where it has that size.
    """
    if image.shape[:2] == (size, size):
        return np.ascontiguousarray(image)
    if interpolation == "nearest":
        return _resize_nearest(image, size)
    import torch
    from torch.nn import functional

    channels_last = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    resized = functional.interpolate(
        channels_last, (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    pixels: NDArray[np.uint8] = resized[0].permute(1, 2, 0).contiguous().numpy()
    return pixels


def resize_mask(mask: Labels, size: int) -> NDArray[np.uint8]:
    """A mask at the network's square size, by nearest neighbour from pixel centre to centre.

    Args:
        mask: Labels (H, W): bool, or uint8 class indices.
        size: Side wanted, in pixels.

    Returns:
        NDArray: uint8 (size, size), class indices.
    """
    return _resize_nearest(mask.astype(np.uint8), size)


def is_tiff(data: bytes) -> bool:
    """Whether the bytes begin as a classic TIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*")


def tag_as_colour(data: bytes) -> bytes:
    """A TIFF whose colour channels are declared as grey and extra samples, declared as RGB.

    CVC-ClinicDB ships such files; OpenCV reads the first channel alone, and Pillow nothing.

    Args:
        data: A TIFF file's bytes.

    Returns:
        bytes: The same bytes where the file is in order, or is too damaged to tell.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        start = struct.unpack_from(f"{order}I", data, 4)[0]
        count = struct.unpack_from(f"{order}H", data, start)[0]
        body = data[start + 2 : start + 2 + _TIFF_ENTRY * count]
        values = {tag: value for tag, value, _ in struct.iter_unpack(f"{order}H6xHH", body)}
    except struct.error:
        return data
    channels = values.get(_TIFF_SAMPLES, 1)
    if values.get(_TIFF_PHOTOMETRIC) != _TIFF_BLACK_IS_ZERO or channels != _RGB:
        return data
    patched = bytearray(data)
    entries = [body[at : at + _TIFF_ENTRY] for at in range(0, len(body), _TIFF_ENTRY)]
    tags = [struct.unpack_from(f"{order}H", entry)[0] for entry in entries]
    if _TIFF_EXTRA_SAMPLES in tags:
        # The entries behind it close the gap, and the end mark of the directory follows them.
        del entries[tags.index(_TIFF_EXTRA_SAMPLES)]
        tags.remove(_TIFF_EXTRA_SAMPLES)
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    patched[start : start + len(directory)] = directory
    photometric = start + 2 + _TIFF_ENTRY * tags.index(_TIFF_PHOTOMETRIC) + 8
    struct.pack_into(f"{order}H", patched, photometric, _TIFF_RGB)
    return bytes(patched)


def _check(data: bytes, name: str) -> None:
    """Refuse from its header what is no image or too large, and what is not whole."""
    try:
        image = Image.open(io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except (OSError, ValueError, SyntaxError) as error:
        what = "is empty" if not data else "cannot be recognised as an image"
        raise UserError(
            f"{name}: expected a JPEG, PNG, TIFF or BMP image, but the file {what}. "
            "Replace it with a whole copy."
        ) from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width} x {image.height}")
    if _has_end(data, image.format):
        return
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"{name}: the image is truncated or damaged ({error}). "
            "Replace the file with a whole copy."
        ) from error


def _has_end(data: bytes, format_name: str | None) -> bool:
    """Whether the file's own end mark is there; false where the format has none."""
    if format_name in ("JPEG", "MPO"):
        # A thumbnail has an end mark too; only one behind the last scan's start counts.
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    return format_name == "PNG" and data.rfind(b"IEND", -64) > 0


def _too_large(name: str, size: str = "more") -> UserError:
    return UserError(
        f"{name}: expected at most {MAX_PIXELS // _MEGA} megapixels, but the header says {size}. "
        "Such a file is not decoded; save it at its frame's own size."
    )


def _resize_nearest(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] == (size, size):
        return np.ascontiguousarray(pixels)
    return np.asarray(
        cv2.resize(pixels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8
    )


def truth_of(
    frame: Mapping[str, Any], decoding: Protocol = "strict", classes: Classes = ONE
) -> Labels:
    """The truth of a catalogue row (H, W): bool of one class, class indices of several.

    Args:
        frame: The row.
        decoding: ``strict`` binarises at > 127, ``official`` at > 0; of classes that have values
            of their own, both take these.
        classes: What the mask's values mean.

    Raises:
        UserError: If the mask cannot be read or is of another size than its frame.
    """
    size = (int(frame["height"]), int(frame["width"]))
    if frame["truth"] == "empty":
        return np.zeros(size, dtype=np.bool_ if len(classes) == 1 else np.uint8)
    mask = read_labels(Path(frame["mask"]), classes, protocol=decoding)
    if mask.shape != size:
        raise UserError(
            f"{frame['mask']}: expected the frame's size {size[1]} x {size[0]}, got "
            f"{mask.shape[1]} x {mask.shape[0]}; 'harness data check' lists all such masks"
        )
    return mask
