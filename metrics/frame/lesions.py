"""Detection: polyps found, missed and false, and frames with and without a polyp.

A polyp is a connected region of the mask, corners touching included. A polyp of the truth is
found where a region of the prediction overlaps it with an IoU of at least ``MIN_IOU``; each region
is used once, and the pairing finds as many polyps as can be, then the best overlaps. What is left
of the prediction are false polyps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linear_sum_assignment
from skimage import measure

from metrics.frame.pixel_counts import pair_of_masks
from metrics.masks.classes import chosen_rows
from metrics.masks.read import Mask
from metrics.utils.errors import UserError
from metrics.utils.validation import require_columns

MIN_IOU: Final = 0.1
"""The overlap from which on a polyp counts as found: its place is right, its outline may not be."""

LESIONS: Final = ("polyps", "polyps_found", "false_polyps")


class LesionCounts(NamedTuple):
    """Polyps of one frame.

    Attributes:
        polyps: Regions of the truth.
        polyps_found: Those that the prediction finds.
        false_polyps: Regions of the prediction that find none.
    """

    polyps: int
    polyps_found: int
    false_polyps: int


def count_lesions(
    mask_truth: Mask, mask_prediction: Mask, *, min_iou: float = MIN_IOU
) -> LesionCounts:
    """Count polyps, polyps found and false polyps of a frame, of bool masks (H, W).

    A polyp is found from an overlap of ``min_iou`` on.

    Raises:
        UserError: The shapes differ, or min_iou is not within (0, 1].

    Example:
        >>> truth = np.array([[1, 1, 0, 0, 1]], dtype=bool)
        >>> prediction = np.array([[1, 0, 0, 0, 0]], dtype=bool)
        >>> count_lesions(truth, prediction)
        LesionCounts(polyps=2, polyps_found=1, false_polyps=0)
    """
    mask_truth, mask_prediction = pair_of_masks(mask_truth, mask_prediction)
    if not 0 < min_iou <= 1:
        raise UserError(f"expected an overlap above 0 and up to 1, but min_iou is {min_iou}.")
    truth, sizes_truth = regions(mask_truth)
    prediction, sizes_prediction = regions(mask_prediction)
    polyps, guesses = len(sizes_truth), len(sizes_prediction)
    if not polyps or not guesses:
        return LesionCounts(polyps, 0, guesses)
    both = mask_truth & mask_prediction
    shared = shared_pixels(truth[both], prediction[both], polyps, guesses)
    iou = shared / (sizes_truth[:, None] + sizes_prediction[None, :] - shared)
    # One more pair outweighs any gain in overlap.
    worth = np.where(iou >= min_iou, 1 + iou / (1 + min(polyps, guesses)), 0.0)
    pairs = linear_sum_assignment(worth, maximize=True)
    found = int(np.count_nonzero(worth[pairs]))
    return LesionCounts(polyps, found, guesses - found)


def summarise_detection(table: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """How many polyps, and how many frames with a polyp, are recognised.

    The polyp rows of a frame table are used; groups are made by the columns ``by``, if there are
    any.

    Returns:
        One row a group: its columns; frames_with and frames_without a polyp; frame_sensitivity
        and frame_specificity of 'is there a polyp at all' (any pixel of it); and, where the table
        has the columns of ``LESIONS``, their sums, lesion_sensitivity (polyps found of all) and
        false_polyps_a_frame. A share of nothing is NaN.

    Raises:
        UserError: A column is missing.

    Example:
        >>> frames = [{"frame": "a", "class": "polyp", "tp": 5, "fp": 0, "fn": 1}]
        >>> frames += [{"frame": "b", "class": "polyp", "tp": 0, "fp": 2, "fn": 0}]
        >>> found = summarise_detection(pd.DataFrame(frames))
        >>> found[["frame_sensitivity", "frame_specificity"]].to_dict("records")
        [{'frame_sensitivity': 1.0, 'frame_specificity': 0.0}]
    """
    by = [by] if isinstance(by, str) else list(by)
    require_columns(table, ("class", "tp", "fp", "fn", *by))
    polyp = chosen_rows(table)
    is_there, is_seen = polyp["tp"] + polyp["fn"] > 0, polyp["tp"] + polyp["fp"] > 0
    lesions = [name for name in LESIONS if name in polyp]
    work = polyp[[*by, *lesions]].assign(
        frames=1,
        frames_with=is_there.astype(int),
        frames_without=(~is_there).astype(int),
        seen=(is_there & is_seen).astype(int),
        spared=(~is_there & ~is_seen).astype(int),
    )
    names = ["frames", "frames_with", "frames_without", "seen", "spared", *lesions]
    if by:
        out = work.groupby(by, sort=False, dropna=False)[names].sum().reset_index()
    else:
        out = work[names].sum().to_frame().T
    out["frame_sensitivity"] = _share(out["seen"], out["frames_with"])
    out["frame_specificity"] = _share(out["spared"], out["frames_without"])
    if len(lesions) == len(LESIONS):
        out["lesion_sensitivity"] = _share(out["polyps_found"], out["polyps"])
        out["false_polyps_a_frame"] = _share(out["false_polyps"], out["frames"])
    return out.drop(columns=["seen", "spared"])


def regions(mask: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Labels (H, W), 0 outside, and the size in pixels of each region 1, 2, ...

    Example:
        >>> regions(np.array([[True, False, True]]))[0]
        array([[1, 0, 2]], dtype=int32)
    """
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int64), np.empty(0, dtype=np.int64)
    labels = measure.label(mask, connectivity=2)
    return labels, np.bincount(labels[mask])[1:]


def shared_pixels(
    truth: npt.NDArray[np.int64], prediction: npt.NDArray[np.int64], polyps: int, guesses: int
) -> npt.NDArray[np.int64]:
    """How many pixels each region of the truth shares with each one of the prediction.

    ``truth`` and ``prediction`` are the labels (N,) of the pixels that are in both masks; the
    result is (polyps, guesses).

    Example:
        >>> shared_pixels(np.array([1, 1]), np.array([1, 2]), polyps=1, guesses=2)
        array([[1, 1]])
    """
    cells = (truth.astype(np.int64) - 1) * guesses + prediction - 1
    return np.bincount(cells, minlength=polyps * guesses).reshape(polyps, guesses)


def _share(part: pd.Series[float], whole: pd.Series[float]) -> pd.Series[float]:
    return part.astype(float) / whole.where(whole > 0).astype(float)
