"""The table of PraNet's evaluation: figures of probability maps, over all thresholds.

Facts from the evaluation of PraNet (Fan et al., MICCAI 2020) and, where that is undefined, from
pysodmetrics: each map is stretched to [0, 1] by itself, and Dice, IoU and E-measure (Fan et al.,
Enhanced-alignment measure, IJCAI 2018) are taken at 256 thresholds, a pixel being polyp at or above
them. A map and its truth give two histograms of 256 levels, from which every threshold's counts
follow at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from metrics.frame.saliency import EPS, s_measure, weighted_f
from metrics.masks.maps import Map
from metrics.masks.read import Mask, as_mask
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats

LEVELS: Final = 256
TRUTH_ABOVE: Final = 128
"""A grey value of the truth is polyp above this."""

SETS: Final = ("CVC-300", "CVC-ClinicDB", "Kvasir", "CVC-ColonDB", "ETIS-LaribPolypDB", "ETIS")
"""PraNet's test sets in its order; the last goes by two names."""


class MapFigures(NamedTuple):
    """What is measured of one frame's map.

    Attributes:
        levels_truth: int64 (256,): polyp pixels by level of the stretched map.
        levels_rest: The same of the other pixels.
        weighted_f: See ``metrics.frame.saliency.weighted_f``.
        s_measure: See ``metrics.frame.saliency.s_measure``.
        e_adaptive: E-measure at twice the stretched map's mean, at most 1.
        mae: Mean absolute error of the stretched map.
        dice_half: Dice of the map as it is, above one half.
        iou_half: Its IoU.
    """

    levels_truth: npt.NDArray[np.int64]
    levels_rest: npt.NDArray[np.int64]
    weighted_f: float
    s_measure: float
    e_adaptive: float
    mae: float
    dice_half: float
    iou_half: float


def as_saved(probability: npt.NDArray[np.float32]) -> Map:
    """A map as PraNet's prediction script saves it: stretched to 0 to 255; one of one value black.

    Example:
        >>> as_saved(np.array([[0.1, 0.2, 0.5]], np.float32))
        array([[  0,  64, 255]], dtype=uint8)
    """
    low = probability.min()
    stretched = (probability - low) * (255 / max(float(probability.max() - low), 1e-8))
    saved: Map = (stretched + 0.5).astype(np.uint8)
    return saved


def measure_map(map_: Map, truth: Mask, mask: Mask | None = None) -> MapFigures:
    """Measure a frame's map (H, W), of 8 or 16 bits, against its true mask.

    ``mask`` is the prediction at one half, by default the map's upper half.

    Raises:
        UserError: The shapes or the map's type are others.

    Example:
        >>> truth = np.array([[True, True, False]])
        >>> found = measure_map(np.array([[200, 100, 0]], np.uint8), truth)
        >>> round(found.mae, 6), round(found.dice_half, 6)
        (0.166667, 0.666667)
    """
    if map_.shape != truth.shape or map_.ndim != 2:
        raise UserError(
            f"expected a map and a truth of one shape, but got {map_.shape} and {truth.shape}"
        )
    if map_.dtype not in (np.uint8, np.uint16):
        raise UserError(f"expected a map of 8 or 16 bits, but it is of {map_.dtype}")
    truth = as_mask(truth)
    levels = _stretched(map_)
    values = levels[map_]
    found = np.bincount(
        ((levels * (LEVELS - 1)).astype(np.intp)[map_] + LEVELS * truth).ravel(),
        minlength=2 * LEVELS,
    )
    polyp = int(np.count_nonzero(truth))
    above = values >= min(2 * values.mean(), 1)
    hits = np.count_nonzero(above & truth)
    half = map_ > np.iinfo(map_.dtype).max // 2 if mask is None else as_mask(mask)
    of_half = _overlaps(np.count_nonzero(half & truth), np.count_nonzero(half), polyp)
    return MapFigures(
        levels_truth=found[LEVELS:],
        levels_rest=found[:LEVELS],
        weighted_f=weighted_f(values, truth),
        s_measure=s_measure(values, truth),
        e_adaptive=float(_e_measure(hits, np.count_nonzero(above), polyp, truth.size)),
        mae=float(np.abs(values - truth).mean()),
        dice_half=float(of_half[0]),
        iou_half=float(of_half[1]),
    )


def summarise_maps(frames: Iterable[MapFigures]) -> dict[str, float]:
    """The row of PraNet's table for some frames.

    Returns:
        ``n`` and, as means over frames: ``mdice`` and ``miou``, over thresholds too; ``wfm``,
        ``sm``; ``mem``, ``maxem`` and ``adpem``, the E-measure's mean over thresholds, its largest
        at any one, and adaptive; ``mae``; ``maxdice``, ``maxiou``; ``dice_half``, ``iou_half``.

    Raises:
        UserError: There is no frame.

    Example:
        >>> truth = np.array([[True, False]])
        >>> figures = summarise_maps([measure_map(np.array([[255, 0]], np.uint8), truth)])
        >>> round(figures["wfm"], 6), round(figures["mdice"], 6)  # all is polyp at threshold 0
        (1.0, 0.998698)
    """
    found = list(frames)
    if not found:
        raise UserError("expected at least one frame")

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in found]))

    dice, iou, e_measure = np.mean([_of_thresholds(one) for one in found], axis=0)
    return {
        "mdice": float(dice.mean()),
        "miou": float(iou.mean()),
        "wfm": mean("weighted_f"),
        "sm": mean("s_measure"),
        "mem": float(e_measure.mean()),
        "maxem": float(e_measure.max()),
        "mae": mean("mae"),
        "adpem": mean("e_adaptive"),
        "maxdice": float(dice.max()),
        "maxiou": float(iou.max()),
        "dice_half": mean("dice_half"),
        "iou_half": mean("iou_half"),
        "n": len(found),
    }


def fit_map(map_: Map, shape: tuple[int, int]) -> Map:
    """A map at its truth's height and width, as MATLAB's ``imresize`` has it for PraNet.

    Bicubic (a = -0.5), smoothed where it shrinks, mirrored at the edges; one axis after the other,
    that which shrinks most first, rounded after each.

    Example:
        >>> fit_map(np.array([[0, 255]], np.uint8), (1, 4))
        array([[  0,  52, 203, 255]], dtype=uint8)
    """
    if map_.shape == shape:
        return map_
    most = np.iinfo(map_.dtype).max
    scales = [wanted / length for wanted, length in zip(shape, map_.shape, strict=True)]
    for axis in np.argsort(scales, kind="stable"):
        weights = _cubic(map_.shape[axis], shape[axis])
        resized = np.moveaxis(np.tensordot(weights, map_, (1, axis)), 0, axis)
        rounded: Map = np.clip(np.floor(resized + 0.5), 0, most).astype(map_.dtype)
        map_ = rounded
    return map_


def _cubic(length: int, wanted: int) -> Floats:
    """The weights (wanted, length) of a line's pixels in those of the resized line."""
    scale = wanted / length
    width = max(1.0, 1 / scale)
    centres = (np.arange(wanted) + 0.5) / scale - 0.5
    places = np.floor(centres - 2 * width)[:, None] + np.arange(int(np.ceil(4 * width)) + 2)
    x = np.abs(centres[:, None] - places) / width
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    columns = mirrored[places.astype(np.intp) % (2 * length)]
    matrix = np.zeros((wanted, length))
    np.add.at(matrix, (np.arange(wanted)[:, None], columns), weights)
    return matrix


def _stretched(map_: Map) -> Floats:
    """The value of each possible level after the map's own extremes are brought to 0 and 1.

    A map of one level is left as it is. The order of the operations is that of pysodmetrics, so
    that rounding puts every level on the same side of every threshold.
    """
    most = np.iinfo(map_.dtype).max
    values = np.arange(most + 1) / most
    low, high = values[map_.min()], values[map_.max()]
    stretched = (values - low) / (high - low) if high > low else values
    return np.clip(stretched, 0, 1)


def _of_thresholds(one: MapFigures) -> tuple[Floats, Floats, Floats]:
    """Dice, IoU and E-measure of a frame at the thresholds 0, 1/255, ... 1: (256,)."""
    hits, rest = (np.cumsum(levels[::-1])[::-1] for levels in (one.levels_truth, one.levels_rest))
    polyp, pixels = hits[0], hits[0] + rest[0]
    dice, iou = _overlaps(hits, hits + rest, polyp)
    return dice, iou, _e_measure(hits, hits + rest, polyp, pixels)


def _overlaps(hits: Any, predicted: Any, polyp: int) -> tuple[Floats, Floats]:
    """Dice and IoU; 0 where nothing is hit, also where there is nothing to hit."""
    either = np.maximum(predicted + polyp - hits, 1)
    return 2 * hits / np.maximum(predicted + polyp, 1), hits / either


def _e_measure(hits: Any, predicted: Any, polyp: int, pixels: int) -> Floats:
    """Enhanced-alignment measure, from counts alone.

    A pixel's alignment depends on nothing but whether it is in the truth and in the prediction, so
    there are four kinds of pixels. The authors divide by one pixel less than there are.
    """
    if polyp in (0, pixels):
        return np.asarray((predicted if polyp else pixels - predicted) / (pixels - 1 + EPS))
    total = np.zeros(np.shape(predicted))
    share, polyp_share = predicted / pixels, polyp / pixels
    counts = {
        (1, 1): hits,
        (1, 0): predicted - hits,
        (0, 1): polyp - hits,
        (0, 0): pixels - predicted - polyp + hits,
    }
    for (in_prediction, in_truth), count in counts.items():
        a, b = in_prediction - share, in_truth - polyp_share
        total += count * (2 * a * b / (a**2 + b**2 + EPS) + 1) ** 2 / 4
    return total / (pixels - 1 + EPS)
