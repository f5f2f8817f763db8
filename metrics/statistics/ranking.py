"""Rankings of models, with the uncertainty of each rank.

Two ways to rank (Wiesenfarth et al. 2021): mean-then-rank (the challenge's: average over frames,
then rank the averages) and rank-then-mean (rank the models in each frame, then average the ranks);
Kendall's tau-b says how far they agree. Ranks get intervals, and models that the data cannot tell
apart are shown as tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from metrics.endocv import SCORED
from metrics.statistics.bootstrap import RESAMPLES, resample
from metrics.statistics.bootstrap_intervals import LEVEL, Method, intervals
from metrics.statistics.holm import holm
from metrics.statistics.permutation import permutation_test, swaps_for
from metrics.statistics.samples import TIE, Samples, lower_is_better, scale_of, select
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats, moments


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """Models in order of one figure.

    Attributes:
        table: One row a model, best first: model, estimate, low, high (the figure and its
            interval), rank (mean-then-rank), rank_low, rank_high (its interval), p_first
            (probability of being first among the resamples, shared by equals), tied_rank (1 +
            the number of models that are significantly better), tied_with (a tuple of the models
            it cannot be told from), mean_rank (over frames) and rank_by_frames (rank-then-mean).
            Models whose figure is undefined are last.
        kendall_tau: Agreement of the two rankings, -1 to 1; NaN where one has only ties.
        figure: What is ranked.
        level: Of the intervals; 1 - level is the significance level, after Holm's correction.
        settings: How it was resampled, in one line.
    """

    table: pd.DataFrame
    kendall_tau: float
    figure: str
    level: float
    settings: str


def rank(
    samples: Samples,
    figure: str = "score",
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    method: Method = "bca",
) -> Ranking:
    """Rank models by one figure, with the ranks' own uncertainty.

    Distances and times rank upwards, all else downwards. There are at least ``resamples`` swaps in
    the permutation tests, see ``swaps_for``. The ``method`` is that of the figure's interval; ranks
    take percentiles.

    Raises:
        UserError: The figure is not among the samples.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.5, 0.6, 0.4, 0.6]})
        >>> rank(samples, "f1").table[["model", "rank", "tied_with"]].values.tolist()
        [['a', 1, ('b',)], ['b', 2, ('a',)]]
    """
    if figure not in samples.figures:
        raise UserError(f"no figure {figure!r} here; there are {', '.join(samples.figures)}.")
    needed = (*SCORED, "score") if figure == "score" else (figure,)
    samples = select(samples, needed)
    replicates = resample(samples, resamples=resamples, seed=seed)
    table = intervals(replicates, level=level, method=method)
    table = table[table["figure"] == figure].drop(columns="figure").reset_index(drop=True)
    k = samples.figures.index(figure)
    sign = 1.0 if lower_is_better(figure) else -1.0
    costs = sign * replicates.estimates[:, k]
    pairs = list(combinations(samples.models, 2))
    swaps = swaps_for(len(pairs), level, resamples)
    p_values = permutation_test(samples, pairs, resamples=swaps, seed=seed, figure=figure)[:, 0]
    better, tied_with = _tell_apart(samples.models, costs, holm(p_values) < 1 - level)
    mean_rank = _mean_rank(sign * samples.values[:, :, k], samples.sets)
    resampled = sign * replicates.resampled[:, :, k]
    resampled = resampled[~np.isnan(resampled).all(axis=1)]  # others say nothing of any model
    table = table.assign(
        rank=rank_columns(costs[None])[0],
        **spread(rank_columns(resampled), level, known=replicates.is_spread(figure)),
        tied_rank=1 + better,
        tied_with=pd.Series(tied_with),
        mean_rank=mean_rank,
        rank_by_frames=rank_columns(mean_rank[None])[0],
    )
    tau = np.nan  # of a single model; scipy would warn
    if len(table) > 1:
        tau = float(stats.kendalltau(table["rank"], table["rank_by_frames"]).statistic)
    table = table.sort_values(["rank", "model"], kind="stable", ignore_index=True)
    return Ranking(
        table=table, kendall_tau=tau, figure=figure, level=level, settings=replicates.settings()
    )


def spread(
    ranks: npt.NDArray[np.int64], level: float, *, known: bool = True
) -> dict[str, npt.NDArray[Any]]:
    """The interval of resampled ranks (R, M), and how often each model is first.

    Where they are not ``known``, since a test set is a single cluster, the interval holds every
    rank, and how often a model is first is NaN.

    Example:
        >>> found = spread(np.array([[1, 2], [1, 2], [2, 1], [1, 2]]), 0.5)
        >>> found["p_first"]
        array([0.75, 0.25])
    """
    if not known:
        ones = np.ones(ranks.shape[1], dtype=np.int64)
        return {"rank_low": ones, "rank_high": ones * len(ones), "p_first": ones * np.nan}
    tail = (1 - level) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="inverted_cdf")
    first = ranks == 1
    shared = first / np.maximum(first.sum(axis=1, keepdims=True), 1)
    return {
        "rank_low": low.astype(np.int64),
        "rank_high": high.astype(np.int64),
        "p_first": shared.mean(axis=0),
    }


def rank_columns(values: Floats) -> npt.NDArray[np.int64]:
    """Competition ranks along each row: 1 + how many are smaller, equals alike, NaN last.

    Example:
        >>> rank_columns(np.array([[0.2, 0.1, 0.2, np.nan]]))
        array([[2, 1, 2, 4]])
    """
    filled = np.where(np.isnan(values), np.inf, values)
    smaller = filled[:, None, :] < filled[:, :, None] - TIE * scale_of(values)
    return np.asarray(1 + smaller.sum(axis=2), dtype=np.int64)


def _mean_rank(values: Floats, sets: npt.NDArray[np.int64] | None) -> Floats:
    """Mean over frames of each model's rank in the frame, (M, N) to (M,), or over sets of these.

    Equals share the mean of their ranks. A frame where a model's figure is undefined does not
    rank that model.
    """
    rounded = np.round(values / scale_of(values), 12)
    ranks = stats.rankdata(rounded, axis=0, nan_policy="omit")
    codes = np.zeros(values.shape[1], dtype=np.int64) if sets is None else sets
    of_sets = moments(codes, ranks.T, int(codes.max()) + 1)[0]
    return np.asarray(of_sets.mean(axis=0))


def _tell_apart(
    models: tuple[str, ...], costs: Floats, differ: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], list[tuple[str, ...]]]:
    """For each model, how many are significantly better, and which cannot be told from it.

    Nothing is told of models without a figure.
    """
    better = np.zeros(len(models), dtype=np.int64)
    tied: list[list[str]] = [[] for _ in models]
    for (i, j), apart in zip(combinations(range(len(models)), 2), differ, strict=True):
        if apart:
            better[j if costs[i] < costs[j] else i] += 1
        elif not np.isnan(costs[i] + costs[j]):
            tied[i].append(models[j])
            tied[j].append(models[i])
    return better, [tuple(names) for names in tied]
