"""How far the members of an ensemble disagree on a frame.

The paper says that its members' views diverge and does not measure it. Here it is measured twice:
as 1 minus the mean IoU over all pairs of members' masks, and as the variance of their votes, pixel
by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from metrics.frame.pixel_counts import count
from metrics.masks.read import Mask, as_mask
from metrics.utils.errors import UserError


class Disagreement(NamedTuple):
    """Disagreement on one frame; 0 where all members say the same.

    Attributes:
        disagreement: 1 minus the mean IoU over pairs of members, 0 to 1; two empty masks agree.
        vote_variance: Mean over pixels of the variance of the members' votes of 0 and 1; at most
            one quarter.
    """

    disagreement: float
    vote_variance: float


def measure_disagreement(masks: Sequence[Mask]) -> Disagreement:
    """Disagreement of members on a frame, from a bool mask (H, W) of each.

    Raises:
        UserError: There are fewer than two members, or their shapes differ.

    Example:
        >>> members = [np.array([[True, True]]), np.array([[True, False]])]
        >>> measure_disagreement(members)
        Disagreement(disagreement=0.5, vote_variance=0.125)
    """
    if len(masks) < 2:
        raise UserError(f"expected the masks of two members or more, but got {len(masks)}.")
    ious = []
    for a, b in combinations(masks, 2):
        counts = count(a, b)
        union = counts.tp + counts.fp + counts.fn
        ious.append(counts.tp / union if union else 1.0)
    share = np.mean([as_mask(mask) for mask in masks], axis=0, dtype=np.float64)
    return Disagreement(
        disagreement=1 - math.fsum(ious) / len(ious),
        vote_variance=float(np.mean(share * (1 - share))),
    )
