"""Conformal risk control: the threshold below which the expected share of missed polyp stays.

Angelopoulos et al., Conformal Risk Control (ICLR 2024). The loss of a sequence is the mean, over
its frames with a polyp, of the share of polyp pixels that a mask misses. It grows with the
threshold and is at most 1. With the largest threshold for which (sum of losses + 1) / (n + 1) is
at most the risk, the expected loss of a further sequence is at most the risk, if it and the
n sequences are exchangeable. Frames of a video are not, so sequences are the units.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metrics.utils.groups import Floats


def missed_shares(polyp: npt.NDArray[np.int64], clusters: npt.NDArray[np.int64]) -> Floats:
    """The loss of each sequence at each of 255 thresholds, those of ``metrics.curves``.

    ``polyp`` are each frame's polyp pixels by level, (N, 256), ``clusters`` its sequence, (N,). The
    result is (C, 255), of the sequences with a polyp.

    Example:
        >>> polyp = np.zeros((2, 256), int)
        >>> polyp[0, [10, 200]] = 1, 3
        >>> missed_shares(polyp, np.array([0, 1]))[:, [5, 100, 250]]
        array([[0.  , 0.25, 1.  ]])
    """
    total = polyp.sum(axis=1)
    known = total > 0
    # At the threshold behind level k, the pixels of levels up to k are missed.
    missed = np.cumsum(polyp[known], axis=1)[:, :-1] / total[known, None]
    _, places = np.unique(clusters[known], return_inverse=True)
    sums = np.zeros((int(places.max(initial=-1)) + 1, missed.shape[1]))
    np.add.at(sums, places, missed)
    return sums / np.bincount(places)[:, None]


def conformal_place(losses: Floats, risk: float) -> int | None:
    """The last of K thresholds that keeps the risk; ``None`` where even the lowest does not.

    ``losses`` are (C, K), growing along K; the risk lies between 0 and 1.

    Example:
        >>> losses = np.tile([0.0, 0.05, 0.5], (19, 1))
        >>> conformal_place(losses, 0.1), conformal_place(losses, 0.01)
        (1, None)
    """
    bounds = (losses.sum(axis=0) + 1) / (len(losses) + 1)
    kept = np.flatnonzero(bounds <= risk)
    return int(kept[-1]) if len(kept) else None


def left_out_losses(losses: Floats, risk: float) -> Floats:
    """The loss of each sequence at the threshold that the others give; NaN where they give none.

    Example:
        >>> left_out_losses(np.tile([0.0, 0.05, 0.5], (20, 1)), 0.1).tolist() == [0.05] * 20
        True
    """
    found = []
    for left_out in range(len(losses)):
        place = conformal_place(np.delete(losses, left_out, axis=0), risk)
        found.append(float("nan") if place is None else float(losses[left_out, place]))
    return np.array(found)
