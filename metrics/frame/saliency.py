"""S-measure and weighted F-measure of a foreground map, as tables of polyp segmentation print them.

Both judge a map of numbers, not a mask. S-measure: Fan et al., Structure-measure (ICCV 2017).
Weighted F: Margolin et al., How to evaluate foreground maps? (CVPR 2014), with beta = 1.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from scipy.ndimage import correlate1d, distance_transform_edt

from metrics.masks.read import Mask, as_mask
from metrics.utils.groups import Floats

EPS: Final = float(np.spacing(1.0))
"""What the authors add to divisors."""

_RADIUS: Final = 3
_GAUSS: Final = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * 5.0**2))
_HALVES_IN_PX: Final = 5


def s_measure(values: Floats, truth: Mask) -> float:
    """Structure measure: half the similarity of object and background, half that of four regions.

    ``values`` (H, W) are 0 to 1, and so is the figure. Without a polyp it is 1 minus the map's
    mean; where all is polyp, its mean.

    Example:
        >>> truth = np.array([[True, False], [False, False]])
        >>> round(s_measure(truth.astype(float), truth), 12)
        1.0
    """
    truth = as_mask(truth)
    share = truth.mean()
    if share in (0, 1):
        return float(values.mean() if share else 1 - values.mean())
    inside, outside = values[truth], 1 - values[~truth]
    objects = share * _object(inside) + (1 - share) * _object(outside)
    return max(0.0, float(0.5 * objects + 0.5 * _regions(values, truth)))


def weighted_f(values: Floats, truth: Mask) -> float:
    """Weighted F-measure: errors count less beside other hits, more far from the polyp.

    ``values`` (H, W) are 0 to 1, and so is the figure; it is 0 without a polyp.

    Example:
        >>> truth = np.array([[True, False], [False, False]])
        >>> round(weighted_f(truth.astype(float), truth), 12)
        1.0
    """
    truth = as_mask(truth)
    polyp = int(np.count_nonzero(truth))
    if not polyp:
        return 0.0
    missed = _smoothed_errors(values, truth)
    background = (~truth).view(np.uint8)
    distances = cv2.distanceTransform(background, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's roots have 21 bits or so, which ones depends on where memory was free. Exact ones of
    # the whole numbers below make the figure the same in every process.
    exact = np.sqrt(np.rint(np.square(distances[~truth], dtype=np.float64)))
    weights = 2 - np.exp(np.log(0.5) / _HALVES_IN_PX * exact)
    false = float(values[~truth] @ weights)
    hit = polyp - missed
    recall, precision = 1 - missed / polyp, hit / (hit + false + EPS)
    return float(2 * recall * precision / (recall + precision + EPS))


def _smoothed_errors(values: Floats, truth: Mask) -> float:
    """The errors in the polyp summed, each the smaller of itself and its smoothed neighbourhood.

    Smoothing takes the background to have the error of the nearest polyp pixel. Only pixels
    within the Gauss kernel's reach of the polyp take part, so the rest is cut away.
    """
    box = tuple(
        slice(max(0, int(places[0]) - _RADIUS), int(places[-1]) + _RADIUS + 1)
        for places in (np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0)))
    )
    polyp = truth[box]
    errors = np.abs(values[box] - polyp)
    nearest = distance_transform_edt(~polyp, return_distances=False, return_indices=True)
    smooth = errors[tuple(nearest)]
    for axis in (0, 1):
        smooth = correlate1d(smooth, _GAUSS / _GAUSS.sum(), axis=axis, mode="constant")
    return float(np.minimum(errors, smooth)[polyp].sum())


def _object(values: Floats) -> float:
    mean = values.mean()
    deviation = values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + deviation + EPS))


def _regions(values: Floats, truth: Mask) -> float:
    """The similarity of the four rectangles that meet at the polyp's centre, weighted by area."""
    height, width = truth.shape
    # The centre's own row and column belong to the first rectangle, as MATLAB counts from 1.
    row, column = (
        int(np.round(np.average(np.arange(len(counts)), weights=counts))) + 1
        for counts in (np.count_nonzero(truth, axis=1), np.count_nonzero(truth, axis=0))
    )
    total = 0.0
    for rows in (slice(0, row), slice(row, height)):
        for columns in (slice(0, column), slice(column, width)):
            part = truth[rows, columns]
            if part.size:
                total += _similarity(values[rows, columns], part) * part.size / truth.size
    return total


def _similarity(values: Floats, truth: Mask) -> float:
    """Structural similarity of one rectangle."""
    divisor = truth.size - 1 + EPS
    x, y = values.mean(), truth.mean()
    away = values - x
    # A mask's values are their own squares. A map's spread has to be summed in two passes: whether
    # it is exactly 0 decides between 0 and 1 below.
    spread = (away**2).sum() / divisor + truth.size * y * (1 - y) / divisor
    together = away[truth].sum() - y * away.sum() if 0 < y < 1 else 0.0
    product = 4 * x * y * together / divisor
    scale = (x**2 + y**2) * spread
    if product != 0:
        return float(product / (scale + EPS))
    return 1.0 if scale == 0 else 0.0
