"""Masks packed into bits: an eighth of the memory, and counted 64 pixels at a time.

Each row is padded with zeros to whole 64-bit words. Then the pixels that two masks share are the
set bits of ``a & b``, those that differ the set bits of ``a ^ b``, and ``np.bitwise_count`` counts
a word at once. The order of the bits within a word depends on the machine and does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_WORD_BITS: Final = 64
_WORD_BYTES: Final = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Bits:
    """A mask of H x W pixels.

    Attributes:
        words: uint64 array (H, ceil(W / 64)), a bit a pixel; what lies beyond W is 0.
        width: W in pixels.
    """

    words: Words
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return len(self.words), self.width

    def box(self) -> tuple[slice, slice]:
        """Rows and columns, to whole words, outside of which nothing is set; empty for nothing."""
        rows = np.flatnonzero(self.words.any(axis=1))
        columns = np.flatnonzero(self.words.any(axis=0))
        if not len(rows):
            return slice(0, 0), slice(0, 0)
        right = min((int(columns[-1]) + 1) * _WORD_BITS, self.width)
        return slice(rows[0], rows[-1] + 1), slice(int(columns[0]) * _WORD_BITS, right)

    def unpacked(self) -> npt.NDArray[np.bool_]:
        """The mask, bool (H, W).

        Example:
            >>> pack(np.array([[True, False]])).unpacked().tolist()
            [[True, False]]
        """
        words = np.ascontiguousarray(self.words)
        return np.unpackbits(words.view(np.uint8), axis=1, count=self.width).view(np.bool_)

    @property
    def pixels(self) -> int:
        """How many pixels are set."""
        return int(np.bitwise_count(self.words).sum(dtype=np.int64))


def pack(pixels: npt.NDArray[Any]) -> Bits:
    """Pack a mask (H, W), or integers of which every one but 0 is set.

    Example:
        >>> pack(np.ones((2, 70), dtype=bool)).words.shape  # two words hold 70 pixels
        (2, 2)
    """
    height, width = pixels.shape
    packed = np.packbits(pixels, axis=1)
    padded = np.zeros((height, -(-width // _WORD_BITS) * _WORD_BYTES), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return Bits(words=padded.view(np.uint64), width=width)
