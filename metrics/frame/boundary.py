"""Distances between the contours of truth and prediction, in pixels.

A contour is the set of a mask's pixels that have a pixel outside the mask (or the frame's edge)
above, below, left or right of them. Nearest pixels are found with SciPy's k-d tree, so distances
are Euclidean and exact. Definitions as in Maier-Hein et al., Metrics reloaded (2024).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from metrics.frame.pixel_counts import pair_of_masks
from metrics.masks.read import Mask

TOLERANCE_PX: Final = 2.0
"""How far a contour may lie off and still count as right in ``nsd_2px``."""

_CROSS: Final = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)


class BoundaryDistances(NamedTuple):
    """How far apart two contours lie; lower is better but for ``nsd_2px``.

    Attributes:
        hausdorff_px: The largest distance from a pixel of either contour to the other contour.
        hd95_px: The larger of the two directions' 95th percentiles of those distances.
        assd_px: Average symmetric surface distance: the mean over the pixels of both contours.
        nsd_2px: Normalised surface distance: the share of both contours' pixels that lie within
            ``TOLERANCE_PX`` of the other contour; 0 to 1.
    """

    hausdorff_px: float
    hd95_px: float
    assd_px: float
    nsd_2px: float


def boundary_distances(mask_truth: Mask, mask_prediction: Mask) -> BoundaryDistances:
    """Compare the contours of two bool masks (H, W).

    With both masks empty there is no contour and all figures are NaN, to be left out of a mean.
    With one empty, each distance is the frame's diagonal, more than any two contours can be apart,
    and nsd_2px is 0: a missed polyp never improves a mean.

    Raises:
        UserError: The shapes differ.

    Example:
        >>> truth, prediction = np.zeros((2, 8, 8), dtype=bool)
        >>> truth[2:5, 2:5] = True
        >>> prediction[2:5, 3:6] = True  # a pixel to the right
        >>> boundary_distances(truth, prediction)
        BoundaryDistances(hausdorff_px=1.0, hd95_px=1.0, assd_px=0.5, nsd_2px=1.0)
    """
    mask_truth, mask_prediction = pair_of_masks(mask_truth, mask_prediction)
    truth, prediction = contour(mask_truth), contour(mask_prediction)
    if not len(truth) and not len(prediction):
        return BoundaryDistances(math.nan, math.nan, math.nan, math.nan)
    if not len(truth) or not len(prediction):
        diagonal = math.hypot(*mask_truth.shape)
        return BoundaryDistances(diagonal, diagonal, diagonal, 0.0)
    truth_to_prediction, _ = KDTree(prediction).query(truth)
    prediction_to_truth, _ = KDTree(truth).query(prediction)
    both = np.concatenate([truth_to_prediction, prediction_to_truth])
    return BoundaryDistances(
        hausdorff_px=float(both.max()),
        hd95_px=float(
            max(np.percentile(truth_to_prediction, 95), np.percentile(prediction_to_truth, 95))
        ),
        assd_px=float(both.mean()),
        nsd_2px=float(np.mean(both <= TOLERANCE_PX)),
    )


def contour(mask: Mask) -> npt.NDArray[np.int64]:
    """The pixels of a mask that touch what is not mask, as rows and columns (K, 2).

    Example:
        >>> len(contour(np.ones((3, 3), dtype=bool)))  # all but the middle
        8
    """
    if mask.size == 0:
        return np.empty((0, 2), dtype=np.int64)
    pixels = np.ascontiguousarray(mask, dtype=np.bool_).view(np.uint8)
    inner = cv2.erode(pixels, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.argwhere(pixels != inner)
