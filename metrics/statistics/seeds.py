"""Networks trained several times, from different seeds: their mean, and how far they spread.

A difference between two models is uncertain for two reasons: other frames might have been taken,
which the bootstrap over sequences tells, and other seeds might have been drawn, which the spread of
the trained networks tells. The wider interval of the two decides what can be said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from metrics.statistics.bootstrap import estimates
from metrics.statistics.bootstrap_intervals import LEVEL
from metrics.statistics.samples import Samples
from metrics.utils.groups import Floats, ratio


class SeedSpread(NamedTuple):
    """A mean over seeds, or the difference of two such means.

    Attributes:
        figure: What is measured.
        seeds: Number of seeds; of a difference, of the first model and of the second.
        mean: The mean, or the difference.
        sd: SD over the seeds; of a difference, its standard error.
        low, high: Ends of Student's, for a difference Welch's, interval over seeds; NaN where a
            model has one seed only.
    """

    figure: str
    seeds: tuple[int, ...]
    mean: float
    sd: float
    low: float
    high: float

    def decides(self, low: float, high: float) -> Literal["seeds", "sequences", ""]:
        """Which interval is wider: this one or that over sequences; empty where one is unknown."""
        own, other = self.high - self.low, high - low
        if np.isnan(own) or np.isnan(other):
            return ""
        return "seeds" if own > other else "sequences"


def pool(samples: Samples, groups: Mapping[str, Sequence[str]]) -> Samples:
    """Models in place of their seeds: each frame's figures are means over the seeds.

    Where a figure is undefined for some seeds, the others' mean counts less, so that a model's mean
    is the mean of its seeds' means. It is NaN where a seed has none at all, in all or in a test
    set. ``groups`` maps a name to the names of its seeds among the samples.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a0": [0.9, 0.7], "a1": [0.7, 0.5], "b": [0.4, 0.4]})
        >>> pool(samples, {"a": ["a0", "a1"], "b": ["b"]}).values[..., 0].round(2).tolist()
        [[0.8, 0.6], [0.4, 0.4]]
    """
    weights = _weights(samples)
    weighted = weights * np.where(np.isnan(samples.values), 0.0, samples.values)
    parts = [[samples.position(seed) for seed in seeds] for seeds in groups.values()]
    sums, pooled = (
        np.stack([each[part].mean(axis=0) for part in parts]) for each in (weighted, weights)
    )
    return replace(samples, models=tuple(groups), values=ratio(sums, pooled), weights=pooled)


def _weights(samples: Samples) -> Floats:
    """How much each value counts, (M, N, K).

    A model's defined values share the weight of its undefined ones, which have none: of n frames,
    d of them defined, each of these counts n / d. So the mean over seeds counts every seed alike,
    however many of its values are undefined. Test sets are weighted each by itself. Where a model
    has no value at all, the weights are NaN.
    """
    defined = ~np.isnan(samples.values)
    sets = np.zeros(len(samples.frames), dtype=np.int64) if samples.sets is None else samples.sets
    weights = np.full(samples.values.shape, np.nan)
    for one in np.unique(sets):
        own = defined[:, sets == one]
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is wanted
            weights[:, sets == one] = own * own.shape[1] / own.sum(axis=1, keepdims=True)
    return weights


def spread(samples: Samples, seeds: Sequence[str], *, level: float = LEVEL) -> list[SeedSpread]:
    """The mean over a model's seeds, of each figure.

    ``samples`` hold the figures of all seeds, ``seeds`` are the model's names among them.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> (found,) = spread(from_values({"a0": [0.6], "a1": [0.8]}), ["a0", "a1"])
        >>> round(found.mean, 2), round(found.sd, 3), round(found.low, 2), round(found.high, 2)
        (0.7, 0.141, -0.57, 1.97)
    """
    found = []
    for figure, of in zip(samples.figures, _of_seeds(samples, seeds).T, strict=True):
        mean = float(of.mean())
        sd = float(of.std(ddof=1)) if len(of) > 1 else float("nan")
        half = float(stats.t.ppf((1 + level) / 2, len(of) - 1) * sd / np.sqrt(len(of)))
        found.append(SeedSpread(figure, (len(of),), mean, sd, mean - half, mean + half))
    return found


def differences(
    samples: Samples, a: Sequence[str], b: Sequence[str], *, level: float = LEVEL
) -> list[SeedSpread]:
    """The difference of the means of two models' seeds, a - b, of each figure, after Welch.

    ``samples`` hold the figures of all seeds, ``a`` and ``b`` are the models' names among them.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a0": [0.6], "a1": [0.8], "b0": [0.3], "b1": [0.3]})
        >>> (found,) = differences(samples, ["a0", "a1"], ["b0", "b1"])
        >>> found.seeds, round(found.mean, 2), round(found.sd, 2)
        ((2, 2), 0.4, 0.1)
    """
    found = []
    values = (_of_seeds(samples, seeds).T for seeds in (a, b))
    for figure, one, other in zip(samples.figures, *values, strict=True):
        mean = float(one.mean() - other.mean())
        error, freedom = _welch(one, other)
        half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
        seeds = (len(one), len(other))
        found.append(SeedSpread(figure, seeds, mean, error, mean - half, mean + half))
    return found


def _of_seeds(samples: Samples, seeds: Sequence[str]) -> Floats:
    """The means of each seed, (seeds, K)."""
    return estimates(samples)[[samples.position(name) for name in seeds]]


def _welch(a: Floats, b: Floats) -> tuple[float, float]:
    """Standard error and degrees of freedom of a difference of means; NaN for a single value.

    The degrees of freedom are Welch and Satterthwaite's, for variances that differ (Welch 1947).
    """
    if min(len(a), len(b)) < 2:
        return float("nan"), float("nan")
    of_a, of_b = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    if of_a + of_b == 0:
        return 0.0, 1.0
    freedom = (of_a + of_b) ** 2 / (of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1))
    return float(np.sqrt(of_a + of_b)), freedom
