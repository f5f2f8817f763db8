"""Curves over thresholds, from probability maps: by pixel, and by polyp.

By pixel, a frame's map is two histograms of 256 grey levels, of polyp pixels and of others;
cumulated from above they are the hits and false pixels at every threshold. By polyp, a map is a
list of candidates, each with its score (``metrics.frame.candidates``). Bands are percentile
intervals of a bootstrap that resamples sequences, as wide as those of all other figures
(``metrics.statistics.bootstrap_intervals``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from metrics.endocv import SMOOTHING
from metrics.masks.read import Mask, as_mask
from metrics.statistics.bootstrap import draws
from metrics.statistics.bootstrap_intervals import interval
from metrics.statistics.clusters import effective_number
from metrics.utils.groups import Floats, ratio

LEVELS: Final = 256
RESAMPLES: Final = 1000
RATES: Final = (0.125, 0.25, 0.5, 1.0)
"""False polyps a frame at which the sensitivity is told."""

Counts = npt.NDArray[np.int64]


def level_counts(probability: npt.NDArray[np.floating], truth: Mask) -> tuple[Counts, Counts]:
    """Polyp pixels and others by grey level, (256,) each; level k is a probability of k / 255.

    Example:
        >>> polyp, rest = level_counts(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]))
        >>> np.flatnonzero(polyp).tolist(), np.flatnonzero(rest).tolist()
        ([128, 255], [0])
    """
    levels = np.rint(np.clip(probability, 0, 1) * (LEVELS - 1)).astype(np.intp)
    found = np.bincount((levels + LEVELS * as_mask(truth)).ravel(), minlength=2 * LEVELS)
    return found[LEVELS:], found[:LEVELS]


def threshold_curves(
    polyp: Counts, rest: Counts, clusters: npt.NDArray[np.int64], *, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Dice, precision and recall at each of 255 thresholds, with bootstrap bands.

    Of N frames come the counts (N, 256) of :func:`level_counts` and the sequence (N,), 0 to C - 1,
    see ``metrics.statistics.samples``. Resamples are drawn with seed 0.

    Returns:
        A row a threshold, with ``threshold``, and ``dice``, ``precision``, ``recall`` with their
        limits ``NAME_low``, ``NAME_high``. Dice is the mean over frames (the challenge's F1),
        precision and recall are of all frames' pixels together. A precision of nothing is NaN, and
        so are the limits of what a single sequence has.

    Example:
        >>> truth = np.array([[True, False]])
        >>> counts = level_counts(np.array([[0.9, 0.4]]), truth)
        >>> table = threshold_curves(*(one[None] for one in counts), np.zeros(1, int))
        >>> table.loc[table["threshold"] > 0.5, ["dice", "precision"]].iloc[0].tolist()
        [1.0, 1.0]
    """
    hits, false = (np.cumsum(one[:, ::-1], axis=1)[:, ::-1][:, 1:] for one in (polyp, rest))
    true = polyp.sum(axis=1, keepdims=True)
    dice = (2 * hits + SMOOTHING) / (hits + false + true + SMOOTHING)
    # Sums by sequence; every resample's curves are weights times these.
    sums = np.zeros((int(clusters.max()) + 1, 4, LEVELS - 1))
    parts = (dice, hits, false, np.broadcast_to(true, hits.shape))
    np.add.at(sums, clusters, np.stack(parts, axis=1))
    frames = np.bincount(clusters).astype(np.float64)
    flat = sums.reshape(len(sums), -1)
    drawn = [
        _means((weights @ flat).reshape(-1, *sums.shape[1:]), weights @ frames)
        for weights in draws(np.random.default_rng(0), resamples, len(sums))
    ]
    names = ("dice", "precision", "recall")
    total = sums.sum(axis=0)
    whole = _means(total[None], np.array([frames.sum()]))[:, 0]
    left_out = _means(total - sums, frames.sum() - frames)
    low, high = _limits(whole, np.concatenate(drawn, axis=1), left_out, effective_number(clusters))
    table = {"threshold": (np.arange(LEVELS - 1) + 0.5) / (LEVELS - 1)}
    for place, name in enumerate(names):
        table |= {name: whole[place], f"{name}_low": low[place], f"{name}_high": high[place]}
    return pd.DataFrame(table)


def froc(
    found: Sequence[Sequence[float]], false: Sequence[Sequence[float]], polyps: Sequence[int]
) -> pd.DataFrame:
    """The free-response curve: sensitivity against false polyps a frame, by the score asked for.

    FROC: Bunch et al. (1977). By frame come the scores of the candidates that find a polyp, of the
    others, and the number of polyps.

    Returns:
        A row a score that occurs, from the highest: ``score``, ``sensitivity``,
        ``false_a_frame``, ``precision``. Sensitivity is NaN without polyps. Without candidates
        there are no rows; without polyps either, one.

    Example:
        >>> froc([[0.9], []], [[], [0.6]], [1, 1])[["score", "sensitivity", "false_a_frame"]].values
        array([[0.9, 0.5, 0. ],
               [0.6, 0.5, 0.5]])
    """
    scores = np.concatenate([*found, *false, []])
    n_found = sum(map(len, found))
    order = np.argsort(-scores, kind="stable")
    # The first n_found scores are those of candidates that find a polyp.
    hits, wrong = np.cumsum(order < n_found), np.cumsum(order >= n_found)
    # Equal scores are one point, the last of them.
    last = np.diff(scores[order], append=-np.inf) != 0
    total = sum(polyps)
    table: pd.DataFrame = pd.DataFrame(
        {
            "score": scores[order],
            "sensitivity": hits / total if total else np.full(len(order), np.nan),
            "false_a_frame": wrong / max(len(polyps), 1),
            "precision": hits / np.maximum(hits + wrong, 1),
        }
    )[last]
    if not total and table.empty:
        table.loc[0] = {"false_a_frame": 0.0}
    return table.reset_index(drop=True)


def average_precision(curve: pd.DataFrame) -> float:
    """The area under precision over sensitivity of :func:`froc`, in steps; NaN without polyps.

    The sum of (R_n - R_(n-1)) P_n, as scikit-learn's; polyps without a candidate are never reached.

    Example:
        >>> average_precision(froc([[0.9], [0.2]], [[], [0.6]], [1, 1])).__round__(4)
        0.8333
    """
    if curve.empty:
        return 0.0
    steps = np.diff(curve["sensitivity"], prepend=0.0)
    return float((steps * curve["precision"]).sum(skipna=False))


def sensitivity_at(curve: pd.DataFrame, rate: float) -> float:
    """The best sensitivity with at most ``rate`` false polyps a frame; NaN without polyps.

    Example:
        >>> sensitivity_at(froc([[0.9], [0.2]], [[], [0.6]], [1, 1]), 0.25)
        0.5
    """
    reached = curve.loc[curve["false_a_frame"] <= rate, "sensitivity"]
    if curve["sensitivity"].isna().any():
        return float("nan")
    return float(reached.max()) if len(reached) else 0.0


def _means(sums: Floats, frames: Floats) -> Floats:
    """Dice, precision and recall (3, R, 255) from their sums (R, 4, 255)."""
    dice, hits, false, true = np.moveaxis(sums, 1, 0)
    return np.stack([ratio(dice, frames[:, None]), ratio(hits, hits + false), ratio(hits, true)])


def _limits(
    whole: Floats, drawn: Floats, left_out: Floats, effective: float
) -> tuple[Floats, Floats]:
    """The band (3, 255) of each figure and threshold; NaN where a single sequence has the figure.

    From the figures of all frames (3, 255), of the resamples and without each sequence.
    """
    low, high = np.empty(whole.shape), np.empty(whole.shape)
    for place, value in np.ndenumerate(whole):
        figure, threshold = place
        of_resamples, without = drawn[figure, :, threshold], left_out[figure, :, threshold]
        low[place], high[place] = interval(
            value, of_resamples, without, effective_clusters=effective, method="percentile"
        )
    return low, high
