"""Paired permutation tests: could the difference of two means be an accident of the draw?

If two models were equally good, their results on a cluster could be exchanged without harm. The
p-value is how often exchanging at random makes a difference as large as the one observed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from metrics.statistics.bootstrap import RESAMPLES, chunk_sizes, means
from metrics.statistics.samples import Floats, Samples
from metrics.utils.errors import UserError

_TIE: Final = 1e-12  # differences this close are equal, whatever the order of summation


def permutation_test(
    samples: Samples, pairs: Sequence[tuple[str, str]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """Two-sided paired permutation tests, all on the same exchanges.

    In each exchange every cluster's results change owner or not, with even odds. Where there are
    no more than ``resamples`` ways to do so, each is taken once and the p-value is exact;
    otherwise it is (1 + hits) / (1 + exchanges).

    Args:
        samples: The models' figures on the same frames.
        pairs: The models to compare, two by two.
        resamples: How many exchanges to draw.
        seed: Fixes them.

    Returns:
        Float array (pairs, K) of p-values; NaN where a figure is undefined.

    Example:
        >>> f1 = np.array([[0.9, 0.8, 0.7, 0.9], [0.5, 0.6, 0.4, 0.6]])
        >>> samples = Samples(
        ...     models=("a", "b"), figures=("f1",), values=f1[..., None],
        ...     clusters=np.arange(4), frames=("w", "x", "y", "z"),
        ... )
        >>> permutation_test(samples, [("a", "b")])  # 2 of all 16 exchanges
        array([[0.125]])
    """
    if not pairs:
        return np.empty((0, len(samples.figures)))
    sums, numbers = samples.cluster_sums()
    first, second = _positions(samples, pairs)
    pair_sums = sums[:, first], sums[:, second]
    pair_numbers = numbers[:, first], numbers[:, second]

    def differences(exchanged: Floats) -> Floats:
        sums_a, sums_b = _exchanged_totals(exchanged, *pair_sums)
        numbers_a, numbers_b = _exchanged_totals(exchanged, *pair_numbers)
        means_a = means(sums_a, numbers_a, samples.figures)
        return np.abs(means_a - means(sums_b, numbers_b, samples.figures))

    clusters = samples.n_clusters
    exact = clusters <= math.log2(resamples)
    observed = differences(np.zeros((1, clusters)))[0]
    hits, exchanges = np.zeros(observed.shape), 0
    for exchanged in _every(clusters) if exact else _random(clusters, resamples, seed):
        hits += np.count_nonzero(differences(exchanged) >= observed - _TIE, axis=0)
        exchanges += len(exchanged)
    p: Floats = hits / exchanges if exact else (1 + hits) / (1 + exchanges)
    return np.where(np.isnan(observed), np.nan, p)


def _exchanged_totals(exchanged: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Totals (R, pairs, K) of both sides, clusters changing sides where exchanged (R, C) is 1."""
    gain = (exchanged @ (b - a).reshape(len(a), -1)).reshape(-1, *a.shape[1:])
    return a.sum(axis=0) + gain, b.sum(axis=0) - gain


def _every(clusters: int) -> Iterator[Floats]:
    codes = np.arange(2**clusters)[:, None] >> np.arange(clusters)
    yield (codes & 1).astype(np.float64)


def _random(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    for size in chunk_sizes(resamples, clusters):
        yield rng.integers(0, 2, size=(size, clusters), dtype=np.uint8).astype(np.float64)


def _positions(samples: Samples, pairs: Sequence[tuple[str, str]]) -> tuple[list[int], list[int]]:
    same = [a for a, b in pairs if a == b]
    if same:
        raise UserError(f"expected two models to compare, but got {same[0]} twice.")
    return [samples.position(a) for a, _ in pairs], [samples.position(b) for _, b in pairs]
