"""Ranking with its uncertainty, and every pair of models compared."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from harness.report.page import charts, charts_xy
from harness.report.page.content import MANY, PageContent, Plot
from harness.report.tables.columns import Column, Table
from harness.report.tables.view import View, listed, title_of
from harness.report.views import ranks
from metrics.statistics.bootstrap import estimates
from metrics.statistics.bootstrap_intervals import LEVEL, NO_INTERVAL
from metrics.statistics.holm import holm
from metrics.statistics.permutation import permutation_test, swaps_for
from metrics.statistics.samples import Samples, select

if TYPE_CHECKING:
    from harness.report.page.style import Style

_LEVEL = f"{100 * LEVEL:g} %"


def headline(samples: Samples) -> str:
    """Which model is first, and which are not significantly worse, in a sentence."""
    table = ranks.ranking_of(samples).table
    first = table.iloc[0]
    tied = [name for name in table["model"] if name in first["tied_with"]]
    rest = f" Not significantly worse: {listed(tied)}." if tied else ""
    if len(tied) == len(table) - 1 > 1:
        rest = " No other is significantly worse."
    interval = f"{_LEVEL} interval {first['low']:.3f} to {first['high']:.3f}"
    if math.isnan(first["low"]):
        interval = NO_INTERVAL
    return (
        f"{title_of(first['model'])} ranks first with a score of {first['estimate']:.3f} "
        f"({interval}; {samples.averaged}).{rest}"
    )


def ranking(content: PageContent, samples: Samples) -> list[Table | Plot]:
    """The score with its interval, the rank with its own, and both as a table."""
    rows = ranks.ranking_of(samples).table.to_dict("records")
    n = f"{content.n} in {samples.n_clusters} sequences or single frames"

    def drawn(value: str, low: str, high: str) -> list[tuple[Style, float, float, float]]:
        return [(content.styles[row["model"]], row[value], row[low], row[high]) for row in rows]

    return [
        Plot(
            title="Score",
            spec=charts.intervals(
                drawn("estimate", "low", "high"), title="Score by model", axis="score, 0 to 1"
            ),
            caption=f"Mean of F1, F2, PPV and recall ({samples.averaged}), with its {_LEVEL} "
            f"interval; {n}.",
        ),
        Plot(
            title="Rank stability",
            spec=charts.intervals(
                drawn("rank", "rank_low", "rank_high"),
                title="Rank by model",
                axis="rank, 1 is best",
                whole=True,
            ),
            caption=f"Rank by score, and the ranks it takes in {_LEVEL} of the resamples; {n}.",
        ),
        ranks.rank_view(samples, title=f"Ranks, {content.name}").table(),
    ]


def pairs(content: PageContent, samples: Samples) -> tuple[list[Table | Plot], list[Table]]:
    """Every pair of models: difference in F1 and p-value, as a matrix and as a table."""
    f1 = select(samples, ["f1"])
    means = estimates(f1)[:, 0]
    found = list(combinations(range(len(f1.models)), 2))
    names = [(f1.models[a], f1.models[b]) for a, b in found]
    swaps = swaps_for(len(names), LEVEL)
    corrected = holm(permutation_test(f1, names, resamples=swaps)[:, 0])
    cells: dict[tuple[int, int], tuple[float, float]] = {}
    rows: list[dict[str, object]] = []
    for (a, b), p in zip(found, corrected, strict=True):
        difference = float(means[a] - means[b])
        cells[a, b], cells[b, a] = (difference, float(p)), (-difference, float(p))
        rows.append(
            {"a": title_of(f1.models[a]), "b": title_of(f1.models[b]), "difference": difference,
             "p": charts_xy.probability(float(p)), "n": len(samples.frames)}
        )  # fmt: skip
    plot = Plot(
        title="Difference in F1, row minus column",
        spec=charts_xy.matrix(
            [content.styles[name] for name in f1.models],
            cells,
            title="Difference in F1 of every pair of models",
        ),
        caption="Blue: the row's model has the higher mean F1 (0 to 1); vermilion: the column's. "
        f"They are {samples.averaged}. "
        "p: paired permutation test over whole sequences, with Holm's correction for "
        f"{len(found)} pairs. Framed: significant at {1 - LEVEL:.2g}; {content.n} in "
        f"{samples.n_clusters} sequences or single frames.",
    )
    # A matrix of many models has no room for its numbers; the map of significance stands for it.
    return [plot] if len(f1.models) <= MANY else [], [_pair_table(rows)]


def _pair_table(rows: list[dict[str, object]]) -> Table:
    view = View(
        frame=pd.DataFrame(rows),
        columns=[
            Column("a", "Model"),
            Column("b", "Compared with"),
            Column("difference", "Difference in F1", decimals=3),
            Column("p", "p (Holm)"),
            Column("n", "Frames"),
        ],
        title="Differences in F1 as a table",
    )
    return view.table()
