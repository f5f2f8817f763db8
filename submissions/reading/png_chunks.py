"""List the chunks of a PNG (ISO/IEC 15948) without decoding them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_HEAD_BYTES: Final = 33
_MAX_CHUNKS: Final = 20_000


class PngError(ValueError):
    """A PNG with a damaged or excessive structure; the text says why."""


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset of the data and length of each chunk after the header, in order.

    Raises:
        struct.error: The file is cut short.
        PngError: There are more chunks than any image needs.
    """
    place = _HEAD_BYTES
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IEND":
            return
        yield kind, place + 8, length
        place += length + 12
    raise PngError(f"a PNG of more than {_MAX_CHUNKS:,} chunks")
