"""Which frames are resampled together: those of a sequence, which are not independent."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from metrics.utils.groups import combine_codes

FEW: Final = 5.0
"""With fewer clusters than these, of equal length, intervals are too narrow."""

_MORE_THAN_ONE: Final = 1 + 1e-9


def clusters_of(frames: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Which frames are resampled together, int64 (N,): 0 to C - 1, in order of appearance.

    The table has one row a frame, with ``frame`` and, where they are known, ``sequence``,
    ``dataset`` and ``test_set``, each of which may have a sequence of the same name; a frame of no
    sequence is a cluster by itself.

    Example:
        >>> frames = pd.DataFrame({"frame": ["a", "b", "c"], "sequence": ["seq1", "seq1", ""]})
        >>> clusters_of(frames)
        array([0, 0, 1])
    """
    codes, single = np.zeros(len(frames), dtype=np.int64), frames["frame"]
    if "sequence" in frames:
        sequence = frames["sequence"].fillna("")
        named = [frames[name] for name in ("dataset", "test_set") if name in frames]
        for column in (*named, sequence):
            codes = combine_codes(codes, column)
        single = single.where(sequence == "", "")
    return combine_codes(codes, single)


def effective_number(clusters: npt.NDArray[np.int64]) -> float:
    """(sum n)^2 / sum n^2 over clusters of n frames, of which int64 (N,) holds each frame's.

    Kish's effective sample size (1965), with a cluster's frames as its weight.

    Example:
        >>> effective_number(np.array([0, 1, 2, 3])), effective_number(np.array([0, 0, 0, 1]))
        (4.0, 1.6)
    """
    sizes = np.bincount(clusters).astype(np.float64)
    return float(sizes.sum() ** 2 / np.sum(sizes**2))


def few_clusters_note(effective: float) -> str:
    """A sentence, after a space, for tables with 95 % intervals; empty where they are good.

    ``effective`` is the number of clusters by :func:`effective_number`. A single one has no
    interval. The shares are those of the simulation in ``docs/protocol.md``, 'Uncertainty'.

    Example:
        >>> few_clusters_note(25.0), few_clusters_note(2.0)[:37]
        ('', ' So few sequences make the 95 % inter')
    """
    if not _MORE_THAN_ONE < effective < FEW:
        return ""
    return (
        " So few sequences make the 95 % intervals too narrow: they hold the truth in some 85 % of "
        "cases with four sequences of one length, 75 % with three, 50 % with two."
    )
