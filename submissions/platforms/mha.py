"""Read a mask in MetaImage format (.mha), in which grand-challenge.org keeps images.

Read by our own few lines and not by ITK: a header may name another file to take the pixels from,
and sizes of any number of bytes.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

_LONGEST_HEADER: Final = 16_384
_END: Final = b"ElementDataFile"
_MOST_PIXELS: Final = 1 << 26


def read_mha(data: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of an image of 8 bits.

    Args:
        data: The file.

    Returns:
        uint8 (H, W).

    Raises:
        ValueError: It is another image, damaged, or not the whole of it is in the file.
    """
    header, start = _header(data)
    if header.get("ElementDataFile") != "LOCAL":
        raise ValueError("its pixels are in another file")
    if header.get("ElementType") != "MET_UCHAR":
        raise ValueError(f"expected 8 bits a pixel, got {header.get('ElementType', 'none')[:40]}")
    if header.get("ElementNumberOfChannels", "1") != "1":
        raise ValueError("expected one channel")
    sizes = [int(size) for size in header.get("DimSize", "").split()]
    if len(sizes) not in (2, 3) or sizes[2:] not in ([], [1]) or min(sizes) < 1:
        raise ValueError(f"expected one image of two dimensions, got {sizes[:4]}")
    width, height = sizes[:2]
    if width * height > _MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels; at most {_MOST_PIXELS:,} are read")
    pixels = data[start:]
    if header.get("CompressedData", "False") == "True":
        # One byte more than is needed is asked for, so that what unpacks to more is refused.
        try:
            pixels = zlib.decompressobj().decompress(pixels, width * height + 1)
        except zlib.error as error:
            raise ValueError("damaged") from error
    if len(pixels) != width * height:
        raise ValueError("its pixels are more or fewer than its header says")
    return np.frombuffer(pixels, dtype=np.uint8).reshape(height, width)


def write_mha(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An image of 8 bits, uint8 (H, W), as a file.

    Example:
        >>> read_mha(write_mha(np.eye(2, dtype=np.uint8)))
        array([[1, 0],
               [0, 1]], dtype=uint8)
    """
    height, width = pixels.shape
    header = (
        "ObjectType = Image\nNDims = 2\nBinaryData = True\nCompressedData = True\n"
        f"DimSize = {width} {height}\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    return header.encode() + zlib.compress(pixels.tobytes())


def _header(data: bytes) -> tuple[dict[str, str], int]:
    """The lines up to the pixels, and where the pixels begin."""
    # The line that says where the pixels are is the last one.
    end = data.find(b"\n", data.find(_END, 0, _LONGEST_HEADER))
    if _END not in data[:_LONGEST_HEADER] or end < 0:
        raise ValueError("not a MetaImage")
    lines = data[:end].decode("ascii", errors="replace").splitlines()
    pairs = (line.partition("=") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}, end + 1
