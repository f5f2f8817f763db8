"""One ranking from several: models ranked by each of some figures on each of some test sets.

Every figure on every test set gives a ranking of the means (aggregate-then-rank). Three well-known
rules make one of them:

* the mean of the ranks, as challengeR's consensus (Wiesenfarth et al. 2021: method 'euclidean');
* Borda's: a model gets a point for each model behind it in each ranking, half a point for an equal
  one. With ties counted so, its order is that of the mean ranks;
* Kemeny's (1959): the order that contradicts the rankings in the fewest pairs of models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from metrics.statistics.bootstrap import RESAMPLES, Replicates, resample
from metrics.statistics.bootstrap_intervals import LEVEL
from metrics.statistics.ranking import rank_columns, spread
from metrics.statistics.samples import Samples, lower_is_better, scale_of
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats

EXACT: Final = 10
"""Up to so many models Kemeny's order is found exactly, else by a local search."""

KEMENY_RESAMPLES: Final = 500
"""How many of the resamples Kemeny's order is found for; by the local search."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Consensus:
    """A consensus of rankings.

    Attributes:
        table: One row a model, best first: model, rank (by the mean rank), mean_rank, rank_low,
            rank_high (an interval of the rank), p_first, borda (points), kemeny (its place in
            Kemeny's order), kemeny_low, kemeny_high, and a column for each of ``tasks``: its rank
            there, equals sharing the mean of theirs.
        tasks: Names of the rankings, ``FIGURE SET``.
        disagreement: Share of pairs of models, over all rankings, that Kemeny's order contradicts;
            a tie that it breaks counts half.
        exact: Whether Kemeny's order is known to be the best one.
        level: Of the intervals.
        settings: How it was resampled, in one line.
    """

    table: pd.DataFrame
    tasks: tuple[str, ...]
    disagreement: float
    exact: bool
    level: float
    settings: str


def consensus(
    by_set: Mapping[str, Samples],
    *,
    figures: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Consensus:
    """Rank models by several figures on several test sets, and find the consensus.

    ``by_set`` maps a test set to its figures, of the same models in all of them; all figures count
    unless some are named. The bootstrap draws sequences or frames within each test set.

    Raises:
        UserError: A model is missing in a test set.

    Example:
        >>> from metrics.statistics.samples import from_values
        >>> samples = from_values({"a": [0.9, 0.8], "b": [0.5, 0.6], "c": [0.4, 0.7]})
        >>> consensus({"one": samples}).table[["model", "rank", "borda"]].values.tolist()
        [['a', 1, 2.0], ['b', 2, 0.5], ['c', 2, 0.5]]
    """
    models = _models_of(by_set)
    ranks: dict[str, tuple[Floats, Floats]] = {}
    known = True
    for number, (test_set, samples) in enumerate(by_set.items()):
        # Sets of as many clusters must not be drawn alike, so each has a seed of its own.
        drawn = resample(samples, resamples=resamples, seed=seed + number)
        for figure in figures or samples.figures:
            ranks[f"{figure} {test_set}".strip()] = _ranks_by(figure, drawn, models)
            # What no model has on a set is a tie of all and says nothing of how ranks vary.
            is_there = not np.isnan(drawn.estimates[:, drawn.figures.index(figure)]).all()
            known &= drawn.is_spread(figure) or not is_there
    every, several = map(np.array, zip(*ranks.values(), strict=True))  # (tasks, M), (tasks, R, M)
    mean_rank, best = every.mean(axis=0), kemeny(every)
    table = pd.DataFrame(
        {
            "model": models,
            "rank": rank_columns(mean_rank[None])[0],
            "mean_rank": mean_rank,
            **spread(rank_columns(several.mean(axis=0)), level, known=known),
            "borda": (len(models) - every).sum(axis=0),
            "kemeny": _places(best),
            **_kemeny_interval(several, level, known=known),
            **dict(zip(ranks, every, strict=True)),
        }
    )
    pairs = len(models) * (len(models) - 1) / 2 * len(ranks)
    return Consensus(
        table=table.sort_values(["rank", "kemeny"], kind="stable", ignore_index=True),
        tasks=tuple(ranks),
        disagreement=contradictions(every, best) / max(pairs, 1.0),
        exact=len(models) <= EXACT,
        level=level,
        settings=f"bootstrap, {resamples:,} resamples within each of {len(by_set)} test sets, "
        f"seed {seed}",
    )


def _models_of(by_set: Mapping[str, Samples]) -> tuple[str, ...]:
    """The models of every test set, which have to be the same."""
    models = next(iter(by_set.values())).models
    if other := [name for name, one in by_set.items() if {*one.models} != {*models}]:
        raise UserError(
            f"expected the same models in every test set; in {other[0]} there are "
            f"{', '.join(by_set[other[0]].models)}, elsewhere {', '.join(models)}."
        )
    return models


def _ranks_by(figure: str, drawn: Replicates, models: Sequence[str]) -> tuple[Floats, Floats]:
    """The ranks of models by a figure's means, (M,), and by those of each resample, (R, M)."""
    order, k = [drawn.models.index(model) for model in models], drawn.figures.index(figure)
    sign = 1.0 if lower_is_better(figure) else -1.0
    of_means = _average_ranks(sign * drawn.estimates[None, order, k])[0]
    return of_means, _average_ranks(sign * drawn.resampled[:, order, k])


def _average_ranks(costs: Floats) -> Floats:
    """Ranks along each row, the lowest first; equals share the mean of theirs, NaN is last."""
    rounded = np.round(costs / scale_of(costs), 12)
    ranks: Floats = stats.rankdata(np.where(np.isnan(costs), np.inf, rounded), axis=1)
    return ranks


def kemeny(ranks: Floats, *, exact: int = EXACT) -> list[int]:
    """Kemeny's order of models: the one that the fewest pairs of the rankings contradict.

    Up to ``exact`` models by dynamic programming over sets of models (the best order of a set ends
    in one of its models, behind the best order of the rest); else Borda's order, from which one
    model at a time is moved to a better place while there is one.

    ``ranks`` are (rankings, M); the result holds the models' positions, first to last.

    Example:
        >>> kemeny(np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0]]))
        [0, 1, 2]
    """
    costs = _costs(ranks)
    start = [int(m) for m in np.argsort(ranks.mean(axis=0), kind="stable")]
    return _best_order(costs, start) if len(costs) <= exact else _moved(costs, start)


def contradictions(ranks: Floats, order: list[int]) -> float:
    """How many pairs of models the rankings have the other way round than an order; ties half.

    Example:
        >>> contradictions(np.array([[1.0, 2.0, 3.0], [1.5, 1.5, 3.0]]), [1, 0, 2])
        1.5
    """
    costs = _costs(ranks)[np.ix_(order, order)]
    return float(np.triu(costs, 1).sum())


def _costs(ranks: Floats) -> Floats:
    """(M, M): what it costs to put the row's model before the column's."""
    behind = (ranks[:, :, None] > ranks[:, None, :]).sum(axis=0)
    equal = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=0)
    return np.asarray(behind + equal / 2, dtype=np.float64)


def _best_order(costs: Floats, tried_first: list[int]) -> list[int]:
    """The order of least cost, by dynamic programming; of equals that nearest to another order."""
    every = len(costs)
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for members in range(1, 1 << every):
        inside = [m for m in tried_first if members >> m & 1]
        options = []
        for last in reversed(inside):
            cost, order = best[members & ~(1 << last)]
            options.append((cost + float(costs[order, last].sum()), [*order, last]))
        best[members] = min(options, key=lambda option: round(option[0], 9))
    return best[(1 << every) - 1][1]


def _moved(costs: Floats, order: list[int]) -> list[int]:
    """Move the model whose move gains most to its best place, until none gains."""
    gain = costs - costs.T  # what it costs to put the row before the column and not behind it
    order = list(order)
    improved = True
    while improved:
        improved = False
        for model in list(order):
            rest = [other for other in order if other != model]
            # Placed first it is before all others; behind each other it passes that cost changes.
            passed = np.concatenate([[0.0], np.cumsum(-gain[model, rest])])
            place, now = int(np.argmin(passed)), order.index(model)
            if passed[place] < passed[now] - 1e-9:
                rest.insert(place, model)
                order, improved = rest, True
    return order


def _places(order: list[int]) -> npt.NDArray[np.int64]:
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return places


def _kemeny_interval(
    resampled: Floats, level: float, *, known: bool
) -> dict[str, npt.NDArray[np.int64]]:
    """The interval of each model's place in Kemeny's order, from some of the resamples."""
    some = resampled[:, :KEMENY_RESAMPLES].transpose(1, 0, 2)
    places = np.array([_places(kemeny(ranks, exact=0)) for ranks in some])
    found = spread(places, level, known=known)
    return {"kemeny_low": found["rank_low"], "kemeny_high": found["rank_high"]}
