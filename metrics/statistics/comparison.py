"""Paired comparison of models on the same frames.

The difference of two means gets a bootstrap interval, a permutation test, the Wilcoxon signed-rank
test on the clusters' mean differences, and effect sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from metrics.statistics.bootstrap import RESAMPLES, Replicates, resample
from metrics.statistics.bootstrap_intervals import LEVEL, NO_INTERVAL, Method, interval
from metrics.statistics.holm import holm
from metrics.statistics.permutation import permutation_test
from metrics.statistics.samples import TIE, Samples, lower_is_better, scale_of
from metrics.statistics.seeds import SeedSpread
from metrics.utils.groups import Floats


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on one figure.

    Attributes:
        a, b: The models.
        figure: What is compared.
        mean_a, mean_b: Means over the frames.
        difference: mean_a - mean_b.
        low, high: Ends of the difference's interval.
        level: The interval's level.
        p_permutation: Two-sided, paired permutation test.
        p_wilcoxon: Two-sided Wilcoxon signed-rank test over clusters, of those that differ; NaN
            for no cluster.
        cohens_dz: Mean over SD of the clusters' differences (Cohen 1988); NaN where they do not
            vary.
        rank_biserial: Matched-pairs rank-biserial correlation (Kerby 2014), -1 to 1: Wilcoxon's
            ranks for a less those for b, over all; 0 for no difference.
        superiority: Share of frames where a is better, ties as half, 0 to 1.
        n_frames: Frames compared.
        n_clusters: Sequences and single frames that they make.
        p_holm: p_permutation corrected for all comparisons made together; NaN for one alone.
    """

    a: str
    b: str
    figure: str
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    level: float
    p_permutation: float
    p_wilcoxon: float
    cohens_dz: float
    rank_biserial: float
    superiority: float
    n_frames: int
    n_clusters: int
    p_holm: float = float("nan")

    @property
    def p(self) -> float:
        """The corrected p-value where there is one, else that of the permutation test."""
        return self.p_permutation if np.isnan(self.p_holm) else self.p_holm

    def sentence(self, over_seeds: SeedSpread | None = None) -> str:
        """The comparison in one plain sentence, or two.

        Args:
            over_seeds: The same difference over seeds, where there are several. Where its interval
                has both signs, one model is better on these frames, and other seeds may turn it.
        """
        told = self._over_frames()
        if self.p < 1 - self.level and over_seeds and over_seeds.low < 0 < over_seeds.high:
            told += (
                f" Other seeds may turn it: over seeds {self.a} minus {self.b} is "
                f"{over_seeds.low:.3f} to {over_seeds.high:.3f}."
            )
        return told

    def _over_frames(self) -> str:
        name = _NAMES.get(self.figure, self.figure)
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        if np.isnan(self.difference):
            return f"Nothing to compare: {name} of {self.a} or {self.b} is undefined."
        if not self.p < 1 - self.level:
            return (
                f"The data cannot tell {self.a} from {self.b}: difference in {name} "
                f"{self.difference:.3f}, {self._interval(self.low, self.high)}; {p}."
                f"{self._too_few()}"
            )
        better = (self.difference < 0) == lower_is_better(self.figure)
        first, second = (self.a, self.b) if better else (self.b, self.a)
        ends = sorted((abs(self.low), abs(self.high)))
        if self.low < 0 < self.high:
            ends = [self.low, self.high] if self.difference > 0 else [-self.high, -self.low]
        return (
            f"{first} is better than {second} by {abs(self.difference):.3f} {name}, "
            f"{self._interval(*ends)}; {p}."
        )

    def _too_few(self) -> str:
        """Of n clusters the smallest p is 2 of all 2**n swaps, whatever the difference."""
        least = 2 / 2**self.n_clusters
        if np.isnan(self.low) or least < 1 - self.level:
            return ""
        several = f"{self.n_clusters} sequences or single frames"
        return f" With {several} no p below {least:.2f} is possible."

    def _interval(self, low: float, high: float) -> str:
        if np.isnan(low):
            return NO_INTERVAL
        return f"{100 * self.level:g} % interval {low:.3f} to {high:.3f}"


_NAMES: Final = {
    "iou": "IoU", "f1": "F1", "f2": "F2", "ppv": "PPV",
    "hausdorff_px": "pixels of Hausdorff distance", "hd95_px": "pixels of HD95",
    "assd_px": "pixels of average surface distance",
    "nsd_2px": "normalised surface distance at 2 pixels", "latency_ms": "ms a frame",
    "false_polyps": "false polyps a frame",
}  # fmt: skip


def compare(
    samples: Samples,
    a: str,
    b: str | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    method: Method = "bca",
) -> tuple[Comparison, ...]:
    """Compare a model with another one on every figure, or with each other one.

    Args:
        samples: The models' figures on the same frames.
        a: The first model.
        b: The second model; differences are a - b. By default each other one in turn, with Holm's
            correction per figure.
        resamples: Of the bootstrap and of the permutation test.
        seed: Fixes both.
        level: Of the intervals.
        method: Of the intervals.

    Raises:
        UserError: A model is not among the samples, or both are the same.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.5, 0.6, 0.4, 0.6]})
        >>> (comparison,) = compare(samples, "a", "b")
        >>> round(comparison.difference, 3), comparison.p_permutation, comparison.p_holm
        (0.3, 0.125, nan)
        >>> [(row.a, row.b, row.p_holm) for row in compare(samples, "a")]
        [('a', 'b', 0.125)]
    """
    pairs = [(a, b)] if b is not None else [(a, c) for c in samples.models if c != a]
    replicates = resample(samples, resamples=resamples, seed=seed)
    p_values = permutation_test(samples, pairs, resamples=resamples, seed=seed)
    corrected = np.full(p_values.shape, np.nan)
    if b is None:
        corrected = np.array([holm(column) for column in p_values.T]).T
    out: list[Comparison] = []
    for pair, p, p_holm in zip(pairs, p_values, corrected, strict=True):
        rows = _compare(samples, replicates, pair, p, level=level, method=method)
        out += [replace(row, p_holm=float(q)) for row, q in zip(rows, p_holm, strict=True)]
    return tuple(out)


def _compare(
    samples: Samples,
    replicates: Replicates,
    pair: tuple[str, str],
    p_values: Floats,
    *,
    level: float,
    method: Method,
) -> tuple[Comparison, ...]:
    a, b = samples.position(pair[0]), samples.position(pair[1])
    estimates = replicates.estimates[a] - replicates.estimates[b]
    resampled = replicates.resampled[:, a] - replicates.resampled[:, b]
    jackknife = replicates.jackknife[:, a] - replicates.jackknife[:, b]
    settings = {"effective_clusters": replicates.effective_clusters, "level": level}
    out = []
    for k, figure in enumerate(samples.figures):
        estimate = float(estimates[k])
        low, high = interval(estimate, resampled[:, k], jackknife[:, k], method=method, **settings)
        comparison = Comparison(
            a=pair[0],
            b=pair[1],
            figure=figure,
            mean_a=float(replicates.estimates[a, k]),
            mean_b=float(replicates.estimates[b, k]),
            difference=estimate,
            low=low,
            high=high,
            level=level,
            p_permutation=float(p_values[k]),
            n_frames=len(samples.frames),
            n_clusters=samples.n_clusters,
            **_effects(
                samples.values[a, :, k] - samples.values[b, :, k],
                samples.clusters,
                tie=TIE * scale_of(samples.values[[a, b], :, k]),
                lower_is_better=lower_is_better(figure),
            ),
        )
        out.append(comparison)
    return tuple(out)


def _effects(
    differences: Floats, clusters: npt.NDArray[np.int64], *, tie: float, lower_is_better: bool
) -> dict[str, float]:
    """Wilcoxon's p-value and the effect sizes, from the differences in each frame, (N,)."""
    defined = ~np.isnan(differences)
    differences, clusters = differences[defined], clusters[defined]
    if not len(differences):
        names = ("p_wilcoxon", "cohens_dz", "rank_biserial", "superiority")
        return dict.fromkeys(names, float("nan"))
    sizes = np.bincount(clusters)
    sums = np.bincount(clusters, weights=differences)
    units = sums[sizes > 0] / sizes[sizes > 0]
    units = np.where(np.abs(units) < tie, 0.0, units)
    # In whole ties, so that what is equal but for rounding gets one rank; scipy advises it.
    moved = np.round(units[units != 0] / tie)
    spread = float(units.std(ddof=1)) if len(units) > 1 else 0.0
    ranks = stats.rankdata(np.abs(moved))
    balance = float(np.sum(ranks * np.sign(moved)) / ranks.sum()) if len(moved) else 0.0
    won = differences < 0 if lower_is_better else differences > 0
    better = np.where(np.abs(differences) < tie, 0.5, won)
    return {
        "p_wilcoxon": float(stats.wilcoxon(moved).pvalue) if len(moved) else 1.0,
        "cohens_dz": float(units.mean()) / spread if spread > tie else float("nan"),
        "rank_biserial": balance,
        "superiority": float(better.mean()),
    }
