"""How far the members of an ensemble disagree on a frame, and whether that foretells an error.

The paper calls the views of its members divergent without measuring it. Here a frame's divergence
is 1 minus the mean IoU over all pairs of members' masks, and, pixel by pixel, the variance of
their votes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, spearmanr

from metrics.counts import count
from metrics.errors import UserError

POOR: Final = 0.5
"""A frame whose F1 is below this counts as an error to be foretold."""

Floats = npt.NDArray[np.float64]


class Divergence(NamedTuple):
    """Disagreement on one frame; 0 where all members say the same.

    Attributes:
        disagreement: 1 minus the mean IoU over pairs of members, 0 to 1; two empty masks agree.
        vote_variance: Mean over pixels of the variance of the members' votes of 0 and 1; at most
            one quarter.
    """

    disagreement: float
    vote_variance: float


class Foretelling(NamedTuple):
    """How well disagreement tells poor predictions from good ones.

    Attributes:
        spearman: Rank correlation of disagreement and F1; below 0 where it warns. NaN where either
            is the same for all frames.
        auroc: Probability that a poor frame has more disagreement than another, ties as half; one
            half is chance. NaN where no frame is poor, or every one.
        poor: Frames with an F1 below ``POOR``.
        frames: Frames in all.
    """

    spearman: float
    auroc: float
    poor: int
    frames: int


def divergence(masks: Sequence[npt.NDArray[np.bool_]]) -> Divergence:
    """Disagreement of members on a frame.

    Args:
        masks: Bool arrays (H, W), one a member, all of one shape.

    Raises:
        UserError: There are fewer than two members, or their shapes differ.
    """
    if len(masks) < 2:
        raise UserError(f"expected the masks of two members or more, but got {len(masks)}.")
    ious = []
    for a, b in combinations(masks, 2):
        counts = count(a, b)
        union = counts.tp + counts.fp + counts.fn
        ious.append(counts.tp / union if union else 1.0)
    share = np.mean(np.stack(masks), axis=0, dtype=np.float64)
    return Divergence(
        disagreement=1 - math.fsum(ious) / len(ious),
        vote_variance=float(np.mean(share * (1 - share))),
    )


def foretells(disagreement: Floats, f1: Floats, *, poor: float = POOR) -> Foretelling:
    """Whether disagreement foretells poor predictions.

    Args:
        disagreement: float64 (N,), of each frame.
        f1: float64 (N,), of the ensemble on each frame.
        poor: F1 below which a prediction is poor.

    Raises:
        UserError: The lengths differ.
    """
    if disagreement.shape != f1.shape or f1.ndim != 1:
        raise UserError(
            f"expected one figure a frame, but got {disagreement.shape} and {f1.shape}."
        )
    is_poor = f1 < poor
    constant = len(f1) < 2 or np.ptp(disagreement) == 0 or np.ptp(f1) == 0
    spearman = math.nan if constant else float(spearmanr(disagreement, f1).statistic)
    return Foretelling(spearman, _auroc(disagreement, is_poor), int(is_poor.sum()), len(f1))


def _auroc(values: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """The Mann-Whitney statistic as a share of all pairs."""
    n = int(positive.sum())
    others = len(positive) - n
    if not n or not others:
        return math.nan
    above = float(rankdata(values)[positive].sum()) - n * (n + 1) / 2
    return above / (n * others)
