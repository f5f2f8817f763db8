"""The organisers' Hausdorff figure, reproduced; for distances see ``metrics.frame.boundary``.

Their evaluator hands a whole 2-D mask to a function that takes a list of points, one a row. So
each row of pixels counts as one point with as many coordinates as the frame is wide, and the
figure is the Hausdorff distance between two sets of rows: the square root of how many pixels a
row differs by from its nearest counterpart. It is not a distance between the two regions: moving
a polyp down the frame leaves it at 0.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from metrics.frame.pixel_counts import pair_of_masks
from metrics.masks.bits import Bits, Words, pack
from metrics.masks.read import Mask

_BLOCK_ROWS: Final = 8
_NEIGHBOURS: Final = 2

WARNING: Final = (
    "The official Hausdorff figures compare rows of pixels, not regions: they are not distances. "
    "Use the strict protocol's boundary distances to judge contours."
)


def hausdorff_rows(mask_truth: Mask, mask_prediction: Mask) -> float:
    """Hausdorff distance between the rows of two masks, each row one point of zeros and ones.

    Columns that are empty in both masks, a row like the one above it and rows that both masks have
    at one height cannot raise it and are left out; what remains is compared bit by bit, 64 pixels
    at once, the most promising rows first. It counts pixels, so it is exact.

    Masks are bool (H, W). The figure is the square root of a number of pixels: 0 where both hold
    the same set of rows, in any order; with one mask empty, that of the other's fullest row.

    Raises:
        UserError: The shapes differ.

    Example:
        >>> truth = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)
        >>> hausdorff_rows(truth, truth[::-1])  # moved down: the same set of rows
        0.0
        >>> hausdorff_rows(truth, np.zeros_like(truth))  # the full row differs by 4 pixels
        2.0
    """
    return hausdorff_bits(*map(pack, pair_of_masks(mask_truth, mask_prediction)))


def hausdorff_bits(truth: Bits, prediction: Bits) -> float:
    """The figure of ``hausdorff_rows``, of masks that are packed already.

    Example:
        >>> truth = np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
        >>> hausdorff_bits(pack(truth), pack(np.zeros_like(truth)))
        2.0
    """
    used = np.flatnonzero(
        np.bitwise_or.reduce(truth.words, axis=0) | np.bitwise_or.reduce(prediction.words, axis=0)
    )
    if not len(used):
        return 0.0
    columns = slice(used[0], used[-1] + 1)
    a, b = truth.words[:, columns], prediction.words[:, columns]
    # A row of a that b has at the same height has distance 0, and need not be looked at.
    unlike = np.any(a != b, axis=1)
    new_a, new_b = _differs_from_above(a), _differs_from_above(b)
    furthest = _furthest(a[new_a & unlike], b[new_b], at_least=0)
    furthest = _furthest(b[new_b & unlike], a[new_a], at_least=furthest)
    return math.sqrt(furthest)


def _differs_from_above(words: Words) -> npt.NDArray[np.bool_]:
    """For each row, whether it differs from the one above; a repeated row adds no new point."""
    new = np.ones(len(words), dtype=np.bool_)
    np.any(words[1:] != words[:-1], axis=1, out=new[1:])
    return new


def _furthest(a: Words, b: Words, *, at_least: int) -> int:
    """The largest, over rows of a, of the pixels by which the nearest row of b differs.

    Comparing each row of a with each of b would take most of the time. So each row first gets an
    upper bound, its distance to a few rows of b. The rows with the largest bounds are compared with
    all of b, a block at a time; once the largest bound that is left is no larger than the distance
    found already, no further row can raise it.
    """
    if not len(a):
        return at_least
    bounds = _upper_bounds(a, b)
    order = np.argsort(-bounds)
    for start in range(0, len(order), _BLOCK_ROWS):
        block = order[start : start + _BLOCK_ROWS]
        if bounds[block[0]] <= at_least:
            break
        nearest = _differing(a[block, None], b[None]).min(axis=1)
        at_least = max(at_least, int(nearest.max()))
    return at_least


def _upper_bounds(a: Words, b: Words) -> npt.NDArray[np.int64]:
    """Pixels by which each row of a differs from the best of a few rows of b.

    Any rows would give a bound. Rows with nearly as many pixels set are taken, found by bisection
    among the rows of b sorted by that number, since two rows differ by at least the difference of
    their numbers.
    """
    fullness_a, fullness_b = (np.bitwise_count(rows).sum(axis=1, dtype=np.int64) for rows in (a, b))
    by_fullness = np.argsort(fullness_b)
    place = np.searchsorted(fullness_b, fullness_a, sorter=by_fullness)
    near = place[:, None] + np.arange(-_NEIGHBOURS, _NEIGHBOURS)
    neighbours = b[by_fullness[np.clip(near, 0, len(b) - 1)]]
    differing = np.bitwise_count(a[:, None] ^ neighbours).sum(axis=2, dtype=np.int64)
    return np.asarray(differing.min(axis=1))


def _differing(a: Words, b: Words) -> npt.NDArray[np.int32]:
    """Number of differing bits along the last axis, the others broadcast."""
    total: npt.NDArray[np.int32] = np.bitwise_count(a[..., 0] ^ b[..., 0]).astype(np.int32)
    for word in range(1, a.shape[-1]):
        total += np.bitwise_count(a[..., word] ^ b[..., word])
    return total
