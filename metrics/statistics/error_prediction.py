"""Does the disagreement of an ensemble's members predict its errors?

Two figures: Spearman's rank correlation of disagreement and F1, and the area under the ROC curve
of disagreement for 'this frame is poor', by Mann and Whitney's U (Hanley and McNeil 1982). Their
intervals come from resampled sequences, as those of the means do
(:mod:`metrics.statistics.bootstrap`).

A resample is a weight a frame, how often it was drawn, and both figures follow from weighted
midranks. So the frames are sorted once and all resamples are ranked together, some twenty times
faster than by ``scipy.stats.spearmanr`` and ``mannwhitneyu`` one by one, with the same figures.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from metrics.statistics.bootstrap import RESAMPLES, chunk_sizes, draws
from metrics.statistics.bootstrap_intervals import interval
from metrics.statistics.clusters import effective_number
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats

POOR: Final = 0.5
"""A frame whose F1 is below this counts as an error to predict."""


class Estimate(NamedTuple):
    """A figure and its bootstrap interval; NaN where it cannot be told."""

    value: float
    low: float
    high: float


class ErrorPrediction(NamedTuple):
    """How well disagreement tells poor predictions from good ones.

    Attributes:
        spearman: Rank correlation of disagreement and F1, ties at their mean rank; below 0 where
            disagreement warns. NaN where either is the same for all frames.
        auroc: Probability that a poor frame has more disagreement than another, ties as half; one
            half is chance. NaN where no frame is poor, or every one.
        poor: Frames with an F1 below ``POOR``.
        frames: Frames in all.
        clusters: Sequences and single frames that were resampled.
    """

    spearman: Estimate
    auroc: Estimate
    poor: int
    frames: int
    clusters: int


def predict_errors(
    disagreement: Floats,
    f1: Floats,
    clusters: npt.NDArray[np.int64] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ErrorPrediction:
    """Whether disagreement predicts errors.

    Args:
        disagreement: float64 (N,), of each frame.
        f1: float64 (N,), of the ensemble. A frame where it is NaN (``strict``) is left out.
        clusters: int64 (N,) of ``clusters.clusters_of``; by default each frame is one.
        resamples: How many draws of clusters the intervals (BCa) come from.
        seed: Fixes the draws.

    Raises:
        UserError: There are no frames, or the lengths differ.

    Example:
        >>> found = predict_errors(np.array([0.1, 0.2, 0.6, 0.8]), np.array([0.9, 0.8, 0.7, 0.2]))
        >>> found.spearman.value, found.auroc.value, found.poor
        (-1.0, 1.0, 1)
    """
    clusters = np.arange(len(f1)) if clusters is None else clusters
    if f1.ndim != 1 or np.isnan(f1).all() or not disagreement.shape == f1.shape == clusters.shape:
        raise UserError(
            "expected a disagreement, an F1 and a cluster of each of some frames, but got arrays "
            f"of {disagreement.shape}, {f1.shape} and {clusters.shape}."
        )
    known = ~np.isnan(disagreement + f1)
    disagreement, f1 = disagreement[known], f1[known]
    names, clusters = np.unique(clusters[known], return_inverse=True)
    n_clusters = len(names)
    warns, quality, is_poor = _Order(disagreement), _Order(f1), f1 < POOR

    def figures(weights: Floats) -> Floats:
        """Both figures, (R, 2), of R resamples; weights (R, C) say how often each has a cluster."""
        ends = np.cumsum(list(chunk_sizes(len(weights), len(f1))))
        parts = np.split(weights, ends[:-1])
        return np.concatenate([_figures(p[:, clusters], warns, quality, is_poor) for p in parts])

    estimates = figures(np.ones((1, n_clusters)))[0].tolist()
    rng = np.random.default_rng(seed)
    resampled = np.concatenate([figures(drawn) for drawn in draws(rng, resamples, n_clusters)])
    left_out, effective = figures(1 - np.eye(n_clusters)), effective_number(clusters)
    spearman, auroc = (
        Estimate(value, *interval(value, drawn, without, effective_clusters=effective))
        for value, drawn, without in zip(estimates, resampled.T, left_out.T, strict=True)
    )
    return ErrorPrediction(spearman, auroc, int(is_poor.sum()), len(f1), n_clusters)


class _Order:
    """The sorted order of N values, from which their midranks under any weights follow."""

    def __init__(self, values: Floats) -> None:
        self._sorted = np.argsort(values, kind="stable")
        _, self._starts = np.unique(values[self._sorted], return_index=True)
        _, self._group = np.unique(values, return_inverse=True)

    def ranks(self, weights: Floats) -> Floats:
        """The weight below each value plus half the weight of its ties, (R, N) as the weights.

        Where every weight is 1, these are the midranks less one half.
        """
        of_group = np.add.reduceat(weights[:, self._sorted], self._starts, axis=1)
        middle = np.cumsum(of_group, axis=1) - of_group / 2
        ranks: Floats = middle[:, self._group]
        return ranks


def _figures(
    weights: Floats, warns: _Order, quality: _Order, is_poor: npt.NDArray[np.bool_]
) -> Floats:
    """Spearman's correlation and the AUROC, float64 (R, 2), under weights (R, N).

    Spearman's is Pearson's correlation of the ranks. The AUROC is Mann and Whitney's U over the
    number of pairs of a poor frame and another: the rank sum of the poor frames, less what they
    add by their ranks among themselves.
    """
    total = weights.sum(axis=1, keepdims=True)
    of_poor = weights * is_poor
    n = of_poor.sum(axis=1)
    ranks = warns.ranks(weights)
    # Among themselves the poor frames have a rank sum of n squared half, however they tie.
    above = (of_poor * ranks).sum(axis=1) - n**2 / 2
    # Midranks less one half have the mean total / 2.
    a, b = ranks - total / 2, quality.ranks(weights) - total / 2
    spread = np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        spearman = (weights * a * b).sum(axis=1) / spread
        auroc = above / (n * (total[:, 0] - n))
    return np.stack([spearman, auroc], axis=1)
