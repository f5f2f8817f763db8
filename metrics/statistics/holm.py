"""Holm's correction of p-values for several tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metrics.utils.groups import Floats


def holm(p_values: npt.ArrayLike) -> Floats:
    """Holm's step-down correction (1979); NaN stands for a test that could not be made.

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on; none falls below
    the one before.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(p.shape, np.nan)
    order = np.flatnonzero(~np.isnan(p))
    order = order[np.argsort(p[order], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return corrected
