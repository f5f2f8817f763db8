"""Bootstrap intervals of means over frames, by resampling sequences.

A resample is a vector of how often each cluster was drawn, so that all means of all models come
from one matrix product, weights times the clusters' sums. A mean is the sum over the drawn frames
by their number, which differs from draw to draw, as sequences differ in length.

Intervals are the percentile interval and BCa (Efron 1987). With few clusters, or clusters of
unequal length, both are too short. They are widened in the manner of Hesterberg (2015, 'What
teachers should know about the bootstrap', section 5.3): the normal quantile that picks the
percentiles becomes a t quantile times the ratio of the jackknife's standard error to the
bootstrap's. Its degrees of freedom are the effective number of clusters, (sum n)^2 / sum n^2 for
clusters of n frames, less one. With hundreds of clusters this changes next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from scipy import stats

from metrics.endocv import SCORED
from metrics.statistics.samples import Floats, Samples
from metrics.utils.errors import UserError

Method = Literal["percentile", "bca"]

RESAMPLES: Final = 10_000
LEVEL: Final = 0.95

_CHUNK_CELLS: Final = 2_000_000
_SMALLEST: Final = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Replicates:
    """Bootstrapped means of M models and K figures.

    Attributes:
        models: The M names.
        figures: The K names.
        estimates: Float array (M, K), the means over all frames.
        resampled: Float array (R, M, K), the means of each resample.
        jackknife: Float array (C, M, K), the means without each cluster.
        effective_clusters: How many clusters of equal length would vary as much as these.
        n_frames: How many frames there are.
        seed: What the resamples were drawn with.
    """

    models: tuple[str, ...]
    figures: tuple[str, ...]
    estimates: Floats
    resampled: Floats
    jackknife: Floats
    effective_clusters: float
    n_frames: int
    seed: int

    def settings(self) -> str:
        """The settings in one line, to print beside the figures."""
        return (
            f"bootstrap, {len(self.resampled)} resamples of {len(self.jackknife)} clusters "
            f"({self.n_frames} frames), seed {self.seed}"
        )


def resample(samples: Samples, *, resamples: int = RESAMPLES, seed: int = 0) -> Replicates:
    """Draw clusters with replacement and take every mean anew.

    Args:
        samples: Figures of M models on the same frames.
        resamples: How many draws, R.
        seed: Fixes the draws.

    Returns:
        Estimates, resampled means and jackknife means. A mean over no defined value is NaN.

    Raises:
        UserError: Fewer than one resample is asked for.

    Example:
        >>> f1 = np.array([[0.9, 0.8, 0.7, 0.9], [0.5, 0.6, 0.4, 0.6]])
        >>> samples = Samples(
        ...     models=("a", "b"), figures=("f1",), values=f1[..., None],
        ...     clusters=np.arange(4), frames=("w", "x", "y", "z"),
        ... )
        >>> replicates = resample(samples, resamples=100)
        >>> replicates.estimates.round(3).tolist(), replicates.resampled.shape
        ([[0.825], [0.525]], (100, 2, 1))
    """
    if resamples < 1:
        raise UserError(f"expected at least one resample, but got {resamples}.")
    sums, numbers = samples.cluster_sums()
    rng = np.random.default_rng(seed)
    drawn = [
        weighted_means(weights, sums, numbers, samples.figures)
        for weights in draws(rng, resamples, samples.n_clusters)
    ]
    total, number = sums.sum(axis=0), numbers.sum(axis=0)
    return Replicates(
        models=samples.models,
        figures=samples.figures,
        estimates=means(total, number, samples.figures),
        resampled=np.concatenate(drawn),
        jackknife=means(total - sums, number - numbers, samples.figures),
        effective_clusters=samples.effective_clusters,
        n_frames=len(samples.frames),
        seed=seed,
    )


def draws(rng: np.random.Generator, resamples: int, clusters: int) -> Iterator[Floats]:
    """Draw clusters with replacement, a bounded number of resamples at a time.

    Yields:
        float64 (r, C): how often each of r resamples has each cluster. Rows sum to C.

    Example:
        >>> (weights,) = draws(np.random.default_rng(0), resamples=3, clusters=4)
        >>> weights.sum(axis=1)
        array([4., 4., 4.])
    """
    for size in chunk_sizes(resamples, clusters):
        # Row i draws from its own numbers, i C to i C + C - 1, so that one count does all rows.
        drawn = rng.integers(0, clusters, size=(size, clusters), dtype=np.int64)
        drawn += clusters * np.arange(size)[:, None]
        counted = np.bincount(drawn.ravel(), minlength=size * clusters)
        yield counted.reshape(size, clusters).astype(np.float64)


def weighted_means(
    weights: Floats, sums: Floats, numbers: Floats, figures: tuple[str, ...]
) -> Floats:
    """Means for many choices of clusters at once.

    Args:
        weights: Float array (R, C), how often each choice holds each cluster.
        sums: Float array (C, ..., K) of ``Samples.cluster_sums``.
        numbers: The like of how many values each sum holds.
        figures: The K names.

    Returns:
        Float array (R, ..., K).
    """
    shape = (len(weights), *sums.shape[1:])
    flat = numbers.reshape(len(numbers), -1)
    summed = (weights @ sums.reshape(len(sums), -1)).reshape(shape)
    # Where all figures are defined for the same frames, one column of the numbers does for all.
    if (flat == flat[:, :1]).all():
        counted = (weights @ flat[:, :1]).reshape(-1, *(1 for _ in shape[1:]))
    else:
        counted = (weights @ flat).reshape(shape)
    return means(summed, counted, figures)


def means(sums: Floats, numbers: Floats, figures: tuple[str, ...]) -> Floats:
    """Sums over numbers, NaN for none; the score is the mean of its four means.

    Args:
        sums: Float array (..., K).
        numbers: Float array that broadcasts with it.
        figures: The K names.

    Example:
        >>> means(np.array([3.0, 0.0]), np.array([4.0, 0.0]), ("f1", "iou"))
        array([0.75,  nan])
    """
    undefined = np.full(sums.shape, np.nan)
    out: Floats = np.divide(sums, numbers, out=undefined, where=numbers > 0)
    if "score" in figures:
        four = [figures.index(name) for name in SCORED]
        out[..., figures.index("score")] = out[..., four].mean(axis=-1)
    return out


def intervals(
    replicates: Replicates, *, level: float = LEVEL, method: Method = "bca", widen: bool = True
) -> pd.DataFrame:
    """The interval of every model and figure.

    Args:
        replicates: What ``resample`` returns.
        level: As for ``interval``.
        method: As for ``interval``.
        widen: Whether to widen for few clusters, as the module's description has it.

    Returns:
        One row a model and figure: model, figure, estimate, low, high. With a single cluster
        there is nothing to resample, and low and high are NaN.

    Example:
        >>> f1 = np.array([[0.9, 0.8, 0.7, 0.9], [0.5, 0.6, 0.4, 0.6]])
        >>> samples = Samples(
        ...     models=("a", "b"), figures=("f1",), values=f1[..., None],
        ...     clusters=np.arange(4), frames=("w", "x", "y", "z"),
        ... )
        >>> intervals(resample(samples)).round(2)
          model figure  estimate  low  high
        0     a     f1      0.82  0.7   0.9
        1     b     f1      0.52  0.4   0.6
    """
    clusters = replicates.effective_clusters if widen else None
    rows = []
    for m, model in enumerate(replicates.models):
        for k, figure in enumerate(replicates.figures):
            low, high = interval(
                float(replicates.estimates[m, k]),
                replicates.resampled[:, m, k],
                replicates.jackknife[:, m, k],
                effective_clusters=clusters,
                level=level,
                method=method,
            )
            rows.append((model, figure, float(replicates.estimates[m, k]), low, high))
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
        Low and high; both NaN for fewer than two clusters or an undefined estimate.

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
    values, left_out = resampled[~np.isnan(resampled)], jackknife[~np.isnan(jackknife)]
    if len(left_out) < 2 or not len(values) or np.isnan(estimate):
        return float("nan"), float("nan")
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    z = np.asarray(stats.norm.ppf(tails), dtype=np.float64)
    if effective_clusters is not None:
        z = stats.t.ppf(tails, df=max(effective_clusters - 1, 1)) * _widening(values, left_out)
    if method == "bca":
        z = _bca(z, estimate, values, left_out)
    low, high = np.quantile(values, stats.norm.cdf(z))
    return float(low), float(high)


def _widening(values: Floats, left_out: Floats) -> float:
    """The jackknife's standard error over the bootstrap's, 1 where nothing varies."""
    clusters = len(left_out)
    of_bootstrap = float(values.std())
    of_jackknife = float(left_out.std()) * float(np.sqrt(clusters - 1))
    return of_jackknife / of_bootstrap if of_bootstrap > _SMALLEST**2 else 1.0


def _bca(z: Floats, estimate: float, values: Floats, left_out: Floats) -> Floats:
    # Efron (1987): the bias is how far the estimate lies from the resamples' median, the
    # acceleration the skew of the clusters' influence, both in normal quantiles.
    below = np.mean(values < estimate) + np.mean(values == estimate) / 2
    bias = stats.norm.ppf(np.clip(below, 0.5 / len(values), 1 - 0.5 / len(values)))
    influence = left_out.mean() - left_out
    spread = float(np.sum(influence**2)) ** 1.5
    acceleration = float(np.sum(influence**3)) / (6 * spread) if spread > 0 else 0.0
    shifted = bias + z
    corrected: Floats = bias + shifted / np.maximum(1 - acceleration * shifted, _SMALLEST)
    return corrected


def chunk_sizes(resamples: int, clusters: int) -> Iterator[int]:
    """Split a number of resamples so that a chunk's weights stay within some 16 MB.

    Example:
        >>> list(chunk_sizes(1000, clusters=5_000))
        [400, 400, 200]
    """
    step = max(1, _CHUNK_CELLS // max(clusters, 1))
    yield from (min(step, resamples - start) for start in range(0, resamples, step))
