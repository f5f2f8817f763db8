"""Which frames are resampled together: those of a sequence, which are not independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from metrics.utils.groups import combine_codes


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
