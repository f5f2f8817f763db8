"""Paired permutation tests.

If two models were equally good, swapping their results on a cluster would change nothing. The
p-value is how often swapping at random makes a difference as large as the one observed. The
observed one counts among the random ones, so p is never 0 (Phipson and Smyth 2010).

A random swap is a vector of zeros and ones, one a cluster. Swapped clusters move their sums from
one side to the other. What each model gives away in all swaps is one matrix product, swaps times
sums, which serves every pair of models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from metrics.statistics.bootstrap import RESAMPLES, chunk_sizes, means
from metrics.statistics.samples import TIE, Samples, scale_of
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats

_MOST_CELLS: Final = 500_000
"""Of swaps times pairs times figures at a time: 4 MB, which stay in the processor's cache."""
_FINENESS: Final = 4
"""How far below the level of significance the smallest corrected p-value can lie."""


def permutation_test(
    samples: Samples,
    pairs: Sequence[tuple[str, str]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    figure: str = "",
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
        figure: The one figure that is asked for; empty for all.

    Returns:
        The p-values (pairs, K); NaN where a figure is undefined.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.5, 0.6, 0.4, 0.6]})
        >>> permutation_test(samples, [("a", "b")])  # 2 of all 16 swaps
        array([[0.125]])
    """
    wanted = [samples.figures.index(figure)] if figure else list(range(len(samples.figures)))
    if not pairs:
        return np.empty((0, len(wanted)))
    if same := [a for a, b in pairs if a == b]:
        raise UserError(f"expected two models to compare, but got {same[0]} twice.")
    places = [[samples.position(name) for name in pair] for pair in pairs]
    sides, sets = list(np.array(places).T), _sets_of(samples)
    clusters = samples.n_clusters
    exact = 2**clusters <= resamples
    ties = TIE * np.array([scale_of(samples.values[..., k]) for k in wanted])
    unswapped = _differences(np.zeros((1, clusters)), sets, sides, wanted)
    observed = np.concatenate(list(unswapped), axis=1)[0]
    hits, swaps = np.zeros(observed.shape), 0
    for swapped in _every(clusters) if exact else _random(clusters, resamples, seed):
        start = 0
        for found in _differences(swapped, sets, sides, wanted):
            part = slice(start, start := start + found.shape[1])
            # A swap that leaves a model without a value is a hit, so that p is never too small.
            smaller = np.count_nonzero(found < observed[part] - ties, axis=0)
            hits[part] += len(swapped) - smaller
        swaps += len(swapped)
    p: Floats = hits / swaps if exact else (1 + hits) / (1 + swaps)
    return np.where(np.isnan(observed), np.nan, p)


class _Set(NamedTuple):
    """A test set's clusters, and their sums and numbers, (C, M, K) of ``Samples.cluster_sums``.

    ``numbers`` is (C, 1, 1) where every figure is defined in every frame.
    """

    clusters: npt.NDArray[np.int64]
    sums: Floats
    numbers: Floats
    figures: tuple[str, ...]


def _sets_of(samples: Samples) -> list[_Set]:
    sums, numbers = samples.cluster_sums()
    if (numbers == numbers[:, :1, :1]).all():
        numbers = numbers[:, :1, :1]
    return [
        _Set(clusters, sums[clusters], numbers[clusters], samples.figures)
        for clusters in samples.clusters_by_set()
    ]


def _differences(
    swapped: Floats,
    sets: Sequence[_Set],
    sides: Sequence[npt.NDArray[np.intp]],
    wanted: Sequence[int],
) -> Iterator[Floats]:
    """The absolute differences (R, pairs, K) of the means after R swaps, some pairs at a time.

    ``swapped`` is (R, C) of zeros and ones, ``sides`` the positions of the first and of the second
    model of each pair, ``wanted`` those of the K figures.
    """
    moved = [
        (_moved(swapped[:, one.clusters], one.sums), _moved(swapped[:, one.clusters], one.numbers))
        for one in sets
    ]
    # Where no number changes, a model's gain is another's loss: what is a sum over models and sets
    # is summed before the pairs are formed.
    alone = None
    if all(one.numbers.shape[1] == 1 for one in sets):
        alone = _means_alone(sets, moved)[..., wanted]
    step = max(1, _MOST_CELLS // (len(swapped) * len(wanted)))
    for start in range(0, len(sides[0]), step):
        a, b = (side[start : start + step] for side in sides)
        if alone is not None:
            yield np.abs(alone[:, a] - alone[:, b])
            continue
        of_sets = []
        for one, (sums, numbers) in zip(sets, moved, strict=True):
            sums_a, sums_b = _totals(one.sums, sums, a, b)
            numbers_a, numbers_b = _totals(one.numbers, numbers, a, b)
            means_a = means(sums_a, numbers_a, one.figures)
            of_sets.append(means_a - means(sums_b, numbers_b, one.figures))
        yield np.abs(np.mean(of_sets, axis=0))[..., wanted]


def _means_alone(sets: Sequence[_Set], moved: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Per model what its mean would be if it lost twice what is swapped, (R, M, K).

    The difference of two models' means after swaps is that of these: (A - a + b) - (B - b + a) is
    (A - 2 a) - (B - 2 b).
    """
    of_sets = [
        means(one.sums.sum(axis=0) - 2 * sums, one.numbers.sum(axis=0), one.figures)
        for one, (sums, _) in zip(sets, moved, strict=True)
    ]
    return np.asarray(np.mean(of_sets, axis=0))


def _moved(swapped: Floats, values: Floats) -> Floats:
    """What leaves each model: (R, M, K) from the swaps (R, C) and the clusters' (C, M, K)."""
    product: Floats = swapped @ values.reshape(len(values), -1)
    return product.reshape(-1, *values.shape[1:])


def _totals(
    values: Floats, moved: Floats, a: npt.NDArray[np.intp], b: npt.NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Totals (R, pairs, K) of both sides of each pair after the swaps."""
    total = values.sum(axis=0)
    gain = moved[:, b] - moved[:, a]
    return total[a] + gain, total[b] - gain


def swaps_for(pairs: int, level: float, least: int = RESAMPLES) -> int:
    """How many swaps Holm's correction needs to find differences in so many pairs.

    With R swaps no p-value is below 1 / (R + 1), and the correction multiplies the smallest by the
    number of pairs: 10,000 swaps would call no difference significant among 32 models.

    Example:
        >>> swaps_for(21, 0.95), swaps_for(1225, 0.95)
        (10000, 98000)
    """
    return max(least, round(_FINENESS * pairs / (1 - level)))


def _every(clusters: int) -> Iterator[Floats]:
    """All swaps there are: the binary digits of 0 to 2^C - 1."""
    codes = np.arange(2**clusters)[:, None] >> np.arange(clusters)
    yield (codes & 1).astype(np.float64)


def _random(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    for size in chunk_sizes(resamples, clusters):
        yield rng.integers(0, 2, size=(size, clusters), dtype=np.uint8).astype(np.float64)
