"""Intervals from bootstrapped means.

They are the percentile interval and BCa (Efron 1987). With few clusters, or clusters of
unequal length, both are too short. They are widened in the manner of Hesterberg (2015, 'What
teachers should know about the bootstrap', section 5.3): the normal quantile that picks the
percentiles becomes a t quantile times the ratio of the jackknife's standard error to the
bootstrap's. Its degrees of freedom are the effective number of clusters, (sum n)^2 / sum n^2 for
clusters of n frames, less one. With hundreds of clusters this changes next to nothing.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd
from scipy import special

from metrics.statistics.bootstrap import Replicates
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats

Method = Literal["percentile", "bca"]

LEVEL: Final = 0.95

NO_INTERVAL: Final = (
    "no interval, since all frames with a value, or all of a test set, are of one sequence"
)
"""What is said where an estimate has no interval."""

_SMALLEST: Final = 1e-6


def intervals(
    replicates: Replicates, *, level: float = LEVEL, method: Method = "bca", widen: bool = True
) -> pd.DataFrame:
    """The interval of every model and figure: model, figure, estimate, low, high.

    ``widen`` is for few clusters, see above; the rest is as for :func:`interval`. Where all values,
    or all of a test set, are of one cluster, nothing tells how it varies: low and high are NaN.

    Example:
        >>> from metrics.statistics.bootstrap import resample
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.5, 0.6, 0.4, 0.6]})
        >>> intervals(resample(samples)).round(2)
          model figure  estimate  low  high
        0     a     f1      0.82  0.7   0.9
        1     b     f1      0.52  0.4   0.6
    """
    clusters = replicates.effective_clusters if widen else None
    rows = []
    for m, model in enumerate(replicates.models):
        for k, figure in enumerate(replicates.figures):
            estimate = float(replicates.estimates[m, k])
            of_resamples = replicates.resampled[:, m, k], replicates.jackknife[:, m, k]
            ends = interval(
                estimate, *of_resamples, effective_clusters=clusters, level=level, method=method
            )
            rows.append((model, figure, estimate, *ends))
    return pd.DataFrame(rows, columns=["model", "figure", "estimate", "low", "high"])


def interval(
    estimate: float,
    resampled: Floats,
    jackknife: Floats,
    *,
    effective_clusters: float | None,
    level: float = LEVEL,
    method: Method = "bca",
) -> tuple[float, float]:
    """The interval of one figure, or of a difference.

    Args:
        estimate: On all frames.
        resampled: Float array (R,), on the resamples.
        jackknife: Float array (C,), without each cluster.
        effective_clusters: What to widen for; None for the textbook interval.
        level: The share of repetitions in which the interval should hold the truth.
        method: ``percentile``, or ``bca``, which corrects its bias and skew.

    Returns:
        Both ends; NaN for an undefined estimate, or where it is undefined without one of the
        clusters, which then alone has what it is made of.

    Raises:
        UserError: The level does not lie between 0 and 1.

    Example:
        >>> values = np.array([0.4, 0.5, 0.6, 0.7])
        >>> drawn = np.random.default_rng(0).choice(values, (1000, 4)).mean(axis=1)
        >>> left_out = (values.sum() - values) / 3
        >>> low, high = interval(0.55, drawn, left_out, effective_clusters=None)
        >>> round(low, 2), round(high, 2)
        (0.45, 0.65)
    """
    if not 0 < level < 1:
        raise UserError(f"expected a level between 0 and 1 such as 0.95, but got {level}.")
    values = resampled[~np.isnan(resampled)]
    if np.isnan(estimate) or np.isnan(jackknife).any() or not len(values):
        return float("nan"), float("nan")
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    # The quantiles of scipy.stats, bit for bit, without what it checks before each.
    z: Floats = special.ndtri(tails)
    if effective_clusters is not None:
        of_t = np.asarray(special.stdtrit(max(effective_clusters - 1, 1), tails))
        z = of_t.astype(np.float64) * _widening(values, jackknife)
    if method == "bca":
        z = _bca(z, estimate, values, jackknife)
    low, high = np.quantile(values, special.ndtr(z))
    return float(low), float(high)


def _widening(values: Floats, left_out: Floats) -> float:
    """The jackknife's standard error over the bootstrap's, 1 where nothing varies."""
    clusters = len(left_out)
    of_bootstrap = float(values.std())
    of_jackknife = float(left_out.std()) * float(np.sqrt(clusters - 1))
    return of_jackknife / of_bootstrap if of_bootstrap > _SMALLEST**2 else 1.0


def _bca(z: Floats, estimate: float, values: Floats, left_out: Floats) -> Floats:
    """The normal quantiles z, corrected for bias and skew (Efron 1987).

    The bias is how far the estimate lies from the resamples' median, the acceleration the skew of
    the clusters' influence, both in normal quantiles.
    """
    # Models that differ in few frames differ equally in many resamples, but for rounding.
    tie = _SMALLEST * values.std()
    below = np.mean(values < estimate - tie) + np.mean(np.abs(values - estimate) <= tie) / 2
    # An estimate beyond all resamples would have an infinite bias.
    bias = special.ndtri(np.clip(below, 0.5 / len(values), 1 - 0.5 / len(values)))
    influence = left_out.mean() - left_out
    spread = float(np.sum(influence**2)) ** 1.5
    acceleration = float(np.sum(influence**3)) / (6 * spread) if spread > 0 else 0.0
    shifted = bias + z
    corrected: Floats = bias + shifted / np.maximum(1 - acceleration * shifted, _SMALLEST)
    return corrected
