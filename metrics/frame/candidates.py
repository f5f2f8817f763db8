"""Polyps that a probability map proposes, each with a score, and which of them are right.

A candidate is a connected region of probabilities above ``CUT``, corners touching included, and
its score is the highest probability in it. From the best score down, each candidate finds the
polyp that it overlaps most, of those not found yet, if their IoU is at least ``MIN_IOU``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from metrics.frame.lesions import MIN_IOU, regions, shared_pixels
from metrics.frame.pixel_counts import pair_of_masks
from metrics.masks.read import Mask

CUT: Final = 0.1
"""A candidate's pixels lie above it. Low, so that faint candidates count, with their low score."""


class Candidates(NamedTuple):
    """Candidates of one frame.

    Attributes:
        polyps: How many polyps the truth has.
        found: The scores of the candidates that find one.
        false: The scores of the others.
    """

    polyps: int
    found: list[float]
    false: list[float]


def candidates(truth: Mask, probability: npt.NDArray[np.float32]) -> Candidates:
    """The candidates of a frame, from its true mask and probability map (H, W).

    Example:
        >>> truth = np.array([[True, True, False, False]])
        >>> candidates(truth, np.array([[0.5, 0.75, 0.0, 0.25]], np.float32))
        Candidates(polyps=1, found=[0.75], false=[0.25])
    """
    truth, mask = pair_of_masks(truth, probability > CUT)
    labels_truth, sizes_truth = regions(truth)
    labels, sizes = regions(mask)
    scores = np.asarray(ndimage.maximum(probability, labels, np.arange(1, 1 + len(sizes))))
    both = truth & mask
    shared = shared_pixels(labels_truth[both], labels[both], len(sizes_truth), len(sizes))
    iou = shared / (sizes_truth[:, None] + sizes[None, :] - shared)
    found, false = [], []
    for place in np.argsort(-scores, kind="stable"):
        overlaps = iou[:, place]
        if overlaps.max(initial=0.0) >= MIN_IOU:
            iou[overlaps.argmax()] = 0.0  # later candidates cannot find it again
            found.append(float(scores[place]))
        else:
            false.append(float(scores[place]))
    return Candidates(len(sizes_truth), found, false)
