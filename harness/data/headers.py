"""Height and width of an image from its header, also of the TIFFs that Pillow refuses."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

from metrics.masks.read import read_size as read_any_size
from metrics.utils.errors import UserError

_TIFF_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_TYPES: Final = {3: "H", 4: "I"}


def read_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels; no pixel is decoded.

    CVC-ClinicDB's TIFFs tag colour as grey with extra samples, which Pillow does not open, so
    TIFF tags are read here.

    Raises:
        UserError: If the file cannot be read, is no image, or is far larger than any frame.
    """
    try:
        with path.open("rb") as file:
            order = _TIFF_ORDERS.get(file.read(4))
            size = _tiff_size(file, order) if order else None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except struct.error as error:
        raise UserError(f"{path}: a truncated TIFF; replace the file") from error
    if size:
        return size
    return read_any_size(path)


def _tiff_size(file: BinaryIO, order: str) -> tuple[int, int] | None:
    """Height and width from the first directory of a TIFF (TIFF 6.0, section 2)."""
    (offset,) = struct.unpack(f"{order}I", file.read(4))
    file.seek(offset)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    values = {}
    for _ in range(count):
        entry = file.read(12)
        tag, kind, _, _ = struct.unpack(f"{order}HHII", entry)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT) and kind in _TIFF_TYPES:
            (values[tag],) = struct.unpack_from(f"{order}{_TIFF_TYPES[kind]}", entry, 8)
    if {_TIFF_WIDTH, _TIFF_HEIGHT} <= values.keys():
        return values[_TIFF_HEIGHT], values[_TIFF_WIDTH]
    return None
