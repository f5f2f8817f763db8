"""Grey PNGs, read and written several times as fast as by OpenCV.

Masks compress so well that inflating them is most of the work; zlib-ng does it in a fraction of
zlib's time, and the simple filters that masks are saved with are undone in NumPy. Scoring masks
that are PNGs would take almost twice as long with OpenCV. Whatever is not simple is left to it.
Chunks and filters are those of the format's standard, ISO/IEC 15948.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from zlib_ng import zlib_ng

from metrics.masks.image import MAX_PIXELS

_Bytes = npt.NDArray[np.uint8]

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BEGINNING: Final = SIGNATURE + b"\0\0\0\rIHDR"
_GREY_OF_8_BITS: Final = bytes([8, 0, 0, 0, 0])
_HEAD_BYTES: Final = 33
_MAX_CHUNKS: Final = 20_000
_HARMLESS: Final = frozenset({b"pHYs", b"tEXt", b"tIME"})
_LEVEL: Final = 2
# Row filters: a row is stored as it is, or as the difference to each pixel's left neighbour or to
# the row above.
FILTER_NONE, FILTER_SUB, FILTER_UP = range(3)


class PngError(ValueError):
    """A PNG with a damaged or excessive structure; the text says why."""


def encode_png(pixels: _Bytes) -> bytes:
    """A grey PNG of 8 bits a pixel, from uint8 (H, W); the same pixels give the same bytes.

    Example:
        >>> data = encode_png(np.array([[0, 255]], dtype=np.uint8))
        >>> decode_png(data)
        array([[  0, 255]], dtype=uint8)
    """
    height, width = pixels.shape
    rows = np.empty((height, 1 + width), np.uint8)
    rows[:, 0] = FILTER_UP  # leaves of a mask the outline alone
    rows[0, 1:] = pixels[0]
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])  # modulo 256, as the format has it
    header = struct.pack(">II", width, height) + _GREY_OF_8_BITS
    parts = ((b"IHDR", header), (b"IDAT", zlib_ng.compress(rows, _LEVEL)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def decode_png(data: bytes) -> _Bytes | None:
    """The pixels of a grey PNG as masks are mostly saved, exactly as any reader has them.

    The file may be damaged or hostile; no more is unpacked than its size needs.

    Returns:
        uint8 (H, W); ``None`` for whatever is better left to a library: other PNGs (in colour, of
        other bits, interlaced, with chunks that readers may heed, with rows filtered by Average
        or Paeth, of more than ``MAX_PIXELS``), damaged ones, and what is no PNG.

    Example:
        >>> decode_png(b"no PNG") is None
        True
    """
    if not data.startswith(_BEGINNING) or data[24:29] != _GREY_OF_8_BITS:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    if not 0 < width * height <= MAX_PIXELS or (packed := _packed_pixels(data)) is None:
        return None
    stream = zlib_ng.decompressobj()
    try:
        unpacked = stream.decompress(packed, height * (1 + width) + 1)
    except zlib_ng.error:  # type: ignore[misc]  # the stubs have an instance for the class
        return None
    if not stream.eof or stream.unused_data or len(unpacked) != height * (1 + width):
        return None
    rows = np.frombuffer(unpacked, np.uint8).reshape(height, 1 + width)
    return _unfiltered(rows[:, 0], rows[:, 1:].copy())


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset of the data and length of each chunk after the header, in order.

    Raises:
        struct.error: The file is cut short.
        PngError: There are more chunks than any image needs.

    Example:
        >>> [kind for kind, _, _ in chunks(encode_png(np.zeros((2, 2), dtype=np.uint8)))]
        [b'IDAT']
    """
    place = _HEAD_BYTES
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IEND":
            return
        yield kind, place + 8, length
        place += length + 12
    raise PngError(f"a PNG of more than {_MAX_CHUNKS:,} chunks")


def _packed_pixels(data: bytes) -> bytes | None:
    """The stream of all IDAT chunks, which follow each other; ``None`` if there is a doubt."""
    parts: list[bytes] = []
    before = b"IHDR"
    try:
        if not _is_sound(data, 16, 13):
            return None
        for kind, start, length in chunks(data):
            if kind == b"IDAT":
                if (parts and before != b"IDAT") or not _is_sound(data, start, length):
                    return None
                parts.append(data[start : start + length])
            elif kind not in _HARMLESS:
                return None
            before = kind
    except (struct.error, PngError):
        return None
    return b"".join(parts)


def _is_sound(data: bytes, start: int, length: int) -> bool:
    """Whether a chunk's checksum is right."""
    end = start + length
    (check,) = struct.unpack_from(">I", data, end)
    return bool(zlib_ng.crc32(data[start - 4 : end]) == check)


def _unfiltered(filters: _Bytes, pixels: _Bytes) -> _Bytes | None:
    """Undo the row filters, in place; ``None`` where a row has another than these three."""
    if filters.max() > FILTER_UP:
        return None
    # Sub looks at its own row alone, so all such rows come first, at once; Up needs the row above
    # as it is in the end, so these follow from the top. Above the first row lie zeros.
    _undo_sub(pixels, np.flatnonzero(filters == FILTER_SUB))
    for row in np.flatnonzero(filters[1:] == FILTER_UP) + 1:
        pixels[row] += pixels[row - 1]
    return pixels


def _undo_sub(pixels: _Bytes, rows: npt.NDArray[np.intp]) -> None:
    """Undo FILTER_SUB: sum each row from the left.

    Only rows and columns with a difference in them are summed; the rest is empty.
    """
    rows = rows[pixels[rows].max(axis=1) > 0]
    if not len(rows):
        return
    columns = np.flatnonzero(pixels[rows].max(axis=0))
    left, right = columns[0], columns[-1] + 1
    sums = np.cumsum(pixels[rows, left:right], axis=1, dtype=np.uint8)
    pixels[rows, left:right] = sums
    pixels[rows, right:] = sums[:, -1:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib_ng.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
