"""Probability maps as grey images: 0 to 255, or 0 to 65535, for probabilities of 0 to 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from metrics.masks.faults import MAX_CHANNEL_SPREAD
from metrics.masks.image import decode, read_file
from metrics.utils.errors import UserError
from metrics.utils.files import write_small

Map = npt.NDArray[np.unsignedinteger[Any]]
"""Grey values (H, W), uint8 or uint16."""

_RED: Final = 2  # of OpenCV's order; MATLAB takes it where there are several channels


def read_map(path: str | Path) -> Map:
    """A map, or a mask, as its grey values are stored.

    Raises:
        UserError: The file cannot be read, is coloured, or has neither 8 nor 16 bits.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_map(Path(folder, "a.png"), np.array([[0, 7000]], np.uint16))
        ...     read_map(Path(folder, "a.png"))
        array([[   0, 7000]], dtype=uint16)
    """
    pixels = decode(read_file(path), cv2.IMREAD_UNCHANGED, name=str(path))
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path}: expected a grey image of 8 or 16 bits, but it is {pixels.dtype}.")
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3] if pixels.shape[-1] > 2 else pixels[..., :1]
    most = MAX_CHANNEL_SPREAD * (np.iinfo(pixels.dtype).max // 255)
    if int(np.ptp(colours, axis=-1).max()) > most:
        raise UserError(f"{path}: expected a grey image, but it is coloured.")
    return np.ascontiguousarray(colours[..., min(_RED, colours.shape[-1] - 1)])


def write_map(path: str | Path, map_: Map) -> None:
    """Write a map as a PNG of its own depth; its folder is made when missing.

    Raises:
        UserError: If it cannot be written.
    """
    write_small(Path(path), bytes(cv2.imencode(".png", map_)[1]))


def to_map(probability: npt.NDArray[np.floating[Any]], bits: int = 8) -> Map:
    """A probability map as grey values of 8 or 16 bits, rounded to the nearest.

    Example:
        >>> to_map(np.array([[0, 0.5, 1]], np.float32))
        array([[  0, 128, 255]], dtype=uint8)
    """
    dtype = np.uint16 if bits == 16 else np.uint8
    most = np.float32(np.iinfo(dtype).max)
    grey: Map = np.rint(np.clip(probability, 0, 1) * most).astype(dtype)
    return grey
