"""Paired permutation tests, and Holm's correction for several of them.

If two models were equally good, swapping their results on a cluster would change nothing. The
p-value is how often swapping at random makes a difference as large as the one observed.

A random swap is a vector of zeros and ones, one a cluster. Swapped clusters move the difference of
the two models' sums from one side to the other, so that the sums after all swaps are one matrix
product, swaps times differences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from metrics.statistics.bootstrap import RESAMPLES, chunk_sizes, means
from metrics.statistics.samples import TIE, Floats, Samples, scale_of
from metrics.utils.errors import UserError

_MOST_CELLS: Final = 8_000_000
"""Of one product of swaps with the differences of pairs: 64 MB."""


def permutation_test(
    samples: Samples, pairs: Sequence[tuple[str, str]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """Two-sided paired permutation tests, all on the same random swaps.

    In each, every cluster's results change owner or not, with even odds. Where there are no more
    than ``resamples`` ways to do so, each is taken once and the p-value is exact; otherwise it is
    (1 + hits) / (1 + swaps).

    Args:
        samples: The models' figures on the same frames.
        pairs: The models to compare, two by two.
        resamples: How many swaps to draw.
        seed: Fixes them.

    Returns:
        Float array (pairs, K) of p-values; NaN where a figure is undefined.

    Example:
        >>> f1 = np.array([[0.9, 0.8, 0.7, 0.9], [0.5, 0.6, 0.4, 0.6]])
        >>> samples = Samples(
        ...     models=("a", "b"), figures=("f1",), values=f1[..., None],
        ...     clusters=np.arange(4), frames=("w", "x", "y", "z"),
        ... )
        >>> permutation_test(samples, [("a", "b")])  # 2 of all 16 swaps
        array([[0.125]])
    """
    if not pairs:
        return np.empty((0, len(samples.figures)))
    rows = next(chunk_sizes(resamples, samples.n_clusters))
    most = max(1, _MOST_CELLS // (rows * len(samples.figures)))
    if len(pairs) > most:  # in parts, for the memory; each draws the same swaps
        parts = [pairs[start : start + most] for start in range(0, len(pairs), most)]
        found = [permutation_test(samples, p, resamples=resamples, seed=seed) for p in parts]
        return np.concatenate(found)
    sums, numbers = samples.cluster_sums()
    if same := [a for a, b in pairs if a == b]:
        raise UserError(f"expected two models to compare, but got {same[0]} twice.")
    first, second = ([samples.position(name) for name in side] for side in zip(*pairs, strict=True))
    sets = [
        (clusters, sums[clusters][:, [first, second]], numbers[clusters][:, [first, second]])
        for clusters in samples.clusters_by_set()
    ]

    def differences(swapped: Floats) -> Floats:
        of_sets = []
        for clusters, pair_sums, pair_numbers in sets:
            chosen = swapped if len(sets) == 1 else swapped[:, clusters]
            sums_a, sums_b = _totals(chosen, pair_sums[:, 0], pair_sums[:, 1])
            numbers_a, numbers_b = _totals(chosen, pair_numbers[:, 0], pair_numbers[:, 1])
            means_a = means(sums_a, numbers_a, samples.figures)
            of_sets.append(means_a - means(sums_b, numbers_b, samples.figures))
        return np.asarray(np.abs(np.mean(of_sets, axis=0)))

    clusters = samples.n_clusters
    exact = clusters <= math.log2(resamples)
    observed = differences(np.zeros((1, clusters)))[0]
    ties = TIE * np.array([scale_of(samples.values[..., k]) for k in range(len(samples.figures))])
    hits, swaps = np.zeros(observed.shape), 0
    for swapped in _every(clusters) if exact else _random(clusters, resamples, seed):
        hits += np.count_nonzero(differences(swapped) >= observed - ties, axis=0)
        swaps += len(swapped)
    p: Floats = hits / swaps if exact else (1 + hits) / (1 + swaps)
    return np.where(np.isnan(observed), np.nan, p)


def holm(p_values: npt.ArrayLike) -> Floats:
    """Holm's step-down correction for several tests.

    Args:
        p_values: Float array (n,); NaN stands for a test that could not be made and counts for
            none.

    Returns:
        Float array (n,), the corrected values in the given order, at most 1.

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


def _totals(swapped: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Totals (R, pairs, K) of both sides, clusters changing sides where swapped (R, C) is 1."""
    gain = (swapped @ (b - a).reshape(len(a), -1)).reshape(-1, *a.shape[1:])
    return a.sum(axis=0) + gain, b.sum(axis=0) - gain


def _every(clusters: int) -> Iterator[Floats]:
    """All swaps there are: the binary digits of 0 to 2^C - 1."""
    codes = np.arange(2**clusters)[:, None] >> np.arange(clusters)
    yield (codes & 1).astype(np.float64)


def _random(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    for size in chunk_sizes(resamples, clusters):
        yield rng.integers(0, 2, size=(size, clusters), dtype=np.uint8).astype(np.float64)
