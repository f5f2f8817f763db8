"""True and false positives and negatives of one frame, counted in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from metrics.masks.bits import Bits
from metrics.masks.classes import BACKGROUND, POLYP
from metrics.masks.read import Mask, as_mask
from metrics.utils.errors import UserError


class Counts(NamedTuple):
    """Pixels of a frame by truth and prediction, seen from one class.

    Attributes:
        tp: The class in both.
        fp: The class in the prediction alone.
        fn: The class in the truth alone.
        tn: The class in neither.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def swapped(self) -> Counts:
        """The same pixels seen from the other of two classes: tp with tn, fp with fn."""
        return Counts(tp=self.tn, fp=self.fn, fn=self.fp, tn=self.tp)


def count(mask_truth: Mask, mask_prediction: Mask) -> Counts:
    """Count a frame's pixels by truth and prediction, two bool masks (H, W).

    Raises:
        UserError: The shapes differ, or a mask is not two-dimensional.

    Example:
        >>> truth = np.array([[True, True, False]])
        >>> count(truth, np.array([[True, False, False]]))
        Counts(tp=1, fp=0, fn=1, tn=1)
    """
    masks = pair_of_masks(mask_truth, mask_prediction)
    truth, prediction = (np.ascontiguousarray(mask).view(np.uint8) for mask in masks)
    if truth.size == 0:
        return Counts(0, 0, 0, 0)
    in_truth = cv2.countNonZero(truth)
    in_prediction = cv2.countNonZero(prediction)
    differing = int(cv2.norm(truth, prediction, cv2.NORM_HAMMING))
    tp = (in_truth + in_prediction - differing) // 2
    tn = truth.size - tp - differing
    return Counts(tp=tp, fp=in_prediction - tp, fn=in_truth - tp, tn=tn)


def pair_of_masks(
    mask_truth: npt.NDArray[Any], mask_prediction: npt.NDArray[Any]
) -> tuple[Mask, Mask]:
    """Both masks as bool (H, W), see :func:`metrics.masks.read.as_mask`.

    Raises:
        UserError: They are not of one shape (height, width), or have more than two values.

    Example:
        >>> pair_of_masks(np.array([[True]]), np.array([[255]]))
        (array([[ True]]), array([[ True]]))
    """
    mask_truth, mask_prediction = as_mask(mask_truth), as_mask(mask_prediction)
    if mask_truth.shape != mask_prediction.shape or mask_truth.ndim != 2:
        raise UserError(
            "expected two masks of one shape (height, width), but the truth has shape "
            f"{mask_truth.shape} and the prediction {mask_prediction.shape}. "
            "Bring both to the frame's own size first."
        )
    return mask_truth, mask_prediction


def count_bits(truth: Bits, prediction: Bits) -> Counts:
    """Count a frame's pixels as ``count`` does, of masks that are packed already.

    Example:
        >>> from metrics.masks.bits import pack
        >>> truth, prediction = np.array([[1, 1, 0]]), np.array([[1, 0, 0]])
        >>> count_bits(pack(truth), pack(prediction))
        Counts(tp=1, fp=0, fn=1, tn=1)
    """
    in_truth, in_prediction = truth.pixels, prediction.pixels
    tp = Bits(words=truth.words & prediction.words, width=truth.width).pixels
    height, width = truth.shape
    tn = height * width - in_truth - in_prediction + tp
    return Counts(tp=tp, fp=in_prediction - tp, fn=in_truth - tp, tn=tn)


def frame_rows(
    counts: Counts, *, measured: Mapping[str, float] | None = None, **columns: object
) -> tuple[dict[str, object], dict[str, object]]:
    """A frame's two rows of the frame table: polyp first, then background, by the polyp's counts.

    Args:
        counts: Of the polyp; in the background's row tp and tn, fp and fn are swapped.
        measured: Columns of the polyp alone, such as boundary distances; NaN for the background.
        **columns: What both rows carry: frame, dataset, centre, height, latency_ms, ...

    Example:
        >>> rows = frame_rows(Counts(tp=3, fp=0, fn=1, tn=6), measured={"hd95_px": 1.0}, frame="a")
        >>> rows[0]
        {'frame': 'a', 'class': 'polyp', 'tp': 3, 'fp': 0, 'fn': 1, 'tn': 6, 'hd95_px': 1.0}
        >>> rows[1]
        {'frame': 'a', 'class': 'background', 'tp': 6, 'fp': 1, 'fn': 0, 'tn': 3, 'hd95_px': nan}
    """
    polyp, background = class_rows(
        {POLYP: counts, BACKGROUND: counts.swapped()}, measured={POLYP: measured or {}}, **columns
    )
    return polyp, background


def class_rows(
    counts: Mapping[str, Counts], *, measured: Mapping[str, Mapping[str, float]], **columns: object
) -> tuple[dict[str, object], ...]:
    """A frame's rows of the frame table, one a class, in the order of the counts.

    ``measured`` are columns by class that hold for it alone, NaN where another class lacks them;
    ``columns`` are those that all rows carry.

    Example:
        >>> counts = {"polyp": Counts(3, 0, 1, 6), "tool": Counts(2, 1, 0, 7)}
        >>> [row["class"] for row in class_rows(counts, measured={}, frame="a")]
        ['polyp', 'tool']
    """
    names = dict.fromkeys(name for own in measured.values() for name in own)
    unmeasured = dict.fromkeys(names, float("nan"))
    return tuple(
        columns | {"class": name} | of_class._asdict() | unmeasured | dict(measured.get(name, {}))
        for name, of_class in counts.items()
    )
