"""Bootstrap of means over frames, by resampling sequences (Davison and Hinkley 1997).

A resample is a vector of how often each cluster was drawn, so that all means of all models come
from one matrix product, weights times the clusters' sums. A mean is the sum over the drawn frames
by their number, which differs from draw to draw, as sequences differ in length.

A mean over test sets is resampled within each set, so that every resample has as many clusters of
each set as there are (ibid., section 3.2). Intervals: ``metrics.statistics.bootstrap_intervals``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from metrics.endocv import SCORED
from metrics.statistics.samples import Samples
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats

RESAMPLES: Final = 10_000

_CHUNK_CELLS: Final = 2_000_000
_NOTHING: Final = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Replicates:
    """Bootstrapped means of M models and K figures.

    Attributes:
        models: The M names.
        figures: The K names.
        estimates: Float array (M, K), the means, see ``Samples.averaged``.
        resampled: Float array (R, M, K), the means of each resample.
        jackknife: Float array (C, M, K), the means without each cluster; for means over test sets
            so scaled that their spread gives the standard error of the jackknife within sets. NaN
            where nothing is left, since all values (of a set) are of one cluster.
        effective_clusters: How many clusters of equal length would vary as much as these.
        n_frames: How many frames there are.
        seed: What the resamples were drawn with.
        n_sets: How many test sets are resampled, each by itself.
    """

    models: tuple[str, ...]
    figures: tuple[str, ...]
    estimates: Floats
    resampled: Floats
    jackknife: Floats
    effective_clusters: float
    n_frames: int
    seed: int
    n_sets: int = 1

    def is_spread(self, figure: str) -> bool:
        """Whether some model has a figure in several clusters, of every test set.

        How the value of a single one varies, nothing tells.
        """
        of_figure = self.jackknife[..., self.figures.index(figure)]
        return not np.isnan(of_figure).any(axis=0).all()

    def settings(self) -> str:
        """The settings in one line, to print beside the figures."""
        within = f" within {self.n_sets} test sets" if self.n_sets > 1 else ""
        return (
            f"bootstrap, {len(self.resampled):,} resamples of {len(self.jackknife)} clusters"
            f"{within} ({self.n_frames} frames), seed {self.seed}"
        )


def resample(samples: Samples, *, resamples: int = RESAMPLES, seed: int = 0) -> Replicates:
    """Draw clusters with replacement, ``resamples`` times, and take every mean anew.

    A mean over no defined value is NaN.

    Raises:
        UserError: Fewer than one resample is asked for.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.5, 0.6, 0.4, 0.6]})
        >>> replicates = resample(samples, resamples=100)
        >>> replicates.estimates.round(3).tolist(), replicates.resampled.shape
        ([[0.825], [0.525]], (100, 2, 1))
    """
    if resamples < 1:
        raise UserError(f"expected at least one resample, but got {resamples}.")
    sums, numbers = samples.cluster_sums()
    rng = np.random.default_rng(seed)
    of_sets, resampled, left_out = [], [], []
    for clusters in samples.clusters_by_set():
        own, counted = sums[clusters], numbers[clusters]
        total, number = own.sum(axis=0), counted.sum(axis=0)
        drawn = [
            _weighted_means(weights, own, counted, samples.figures)
            for weights in draws(rng, resamples, len(clusters))
        ]
        of_sets.append(means(total, number, samples.figures))
        resampled.append(np.concatenate(drawn))
        left_out.append(means(total - own, number - counted, samples.figures))
    return Replicates(
        models=samples.models,
        figures=samples.figures,
        estimates=np.mean(of_sets, axis=0),
        resampled=np.mean(resampled, axis=0),
        jackknife=_jackknife(of_sets, left_out),
        effective_clusters=samples.effective_clusters,
        n_frames=len(samples.frames),
        seed=seed,
        n_sets=len(of_sets),
    )


def estimates(samples: Samples) -> Floats:
    """The mean of every model and figure, (M, K), see ``Samples.averaged``.

    Example:
        >>> samples = Samples(
        ...     models=("a",), figures=("f1",), values=np.array([[[0.9], [0.8], [0.4]]]),
        ...     clusters=np.arange(3), frames=("x", "y", "z"), sets=np.array([0, 0, 1]),
        ... )
        >>> estimates(samples).round(3)
        array([[0.625]])
    """
    sums, numbers = samples.cluster_sums()
    of_sets = [
        means(sums[clusters].sum(axis=0), numbers[clusters].sum(axis=0), samples.figures)
        for clusters in samples.clusters_by_set()
    ]
    return np.asarray(np.mean(of_sets, axis=0))


def _jackknife(of_sets: Sequence[Floats], left_out: Sequence[Floats]) -> Floats:
    """The means over test sets without each cluster, scaled as ``Replicates`` says.

    Of each set come its means (M, K) and those without each of its clusters (C, M, K).
    """
    if len(left_out) == 1:
        return left_out[0]
    whole = np.mean(of_sets, axis=0)
    clusters = sum(map(len, left_out))
    scaled = []
    for estimate, without in zip(of_sets, left_out, strict=True):
        n = len(without)
        # A set's variance takes (n - 1) / n of its own clusters; ``_widening`` takes that of all.
        factor = np.sqrt((n - 1) / n * clusters / (clusters - 1)) / len(left_out)
        scaled.append(whole + factor * (without - estimate))
    return np.concatenate(scaled)


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


def _weighted_means(
    weights: Floats, sums: Floats, numbers: Floats, figures: tuple[str, ...]
) -> Floats:
    """Means (R, M, K) for R choices of clusters at once, weights (R, C) times sums (C, M, K)."""
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
    """Sums (..., K) over numbers, NaN for none; the score is the mean of its four means.

    Example:
        >>> means(np.array([3.0, 0.0]), np.array([4.0, 0.0]), ("f1", "iou"))
        array([0.75,  nan])
    """
    undefined = np.full(sums.shape, np.nan)
    # Numbers that are sums of weights miss 0 by a rounding error.
    out: Floats = np.divide(sums, numbers, out=undefined, where=numbers > _NOTHING)
    if "score" in figures:
        four = [figures.index(name) for name in SCORED]
        out[..., figures.index("score")] = out[..., four].mean(axis=-1)
    return out


def chunk_sizes(resamples: int, clusters: int) -> Iterator[int]:
    """Split a number of resamples so that a chunk's weights stay within some 16 MB.

    Example:
        >>> list(chunk_sizes(1000, clusters=5_000))
        [400, 400, 200]
    """
    step = max(1, _CHUNK_CELLS // max(clusters, 1))
    yield from (min(step, resamples - start) for start in range(0, resamples, step))
