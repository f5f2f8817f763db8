"""Who leads, and how sure that is: the first sections of the page."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from harness.report.page import charts, grids
from harness.report.page.content import Plot, table
from harness.report.page.svg import for_both
from harness.report.tables.view import title_of
from harness.report.views import ranks
from metrics.statistics.bootstrap import LEVEL
from metrics.statistics.permutation import holm, permutation_test
from metrics.statistics.ranking import rank
from metrics.statistics.samples import select

if TYPE_CHECKING:
    from harness.report.page.content import PageContent
    from harness.report.tables.columns import Table
    from metrics.statistics.samples import Samples

_LEVEL = f"{100 * LEVEL:g} %"


def headline(samples: Samples) -> str:
    """Who leads, in a sentence."""
    first = rank(samples).table.iloc[0]
    tied = first["tied_with"]
    rest = f" The data cannot tell it from {_titles(tied)}." if tied else ""
    return (
        f"{title_of(first['model'])} leads with a score of {first['estimate']:.3f}, {_LEVEL} "
        f"interval {first['low']:.3f} to {first['high']:.3f}.{rest}"
    )


def _titles(names: str) -> str:
    titles = [title_of(name) for name in names.split(", ")]
    return " and ".join(filter(None, [", ".join(titles[:-1]), titles[-1]]))


def ranking(source: PageContent, samples: Samples) -> list[Table | Plot]:
    """The score with its interval, the ranks' own uncertainty, and both as a table."""
    rows = rank(samples).table.to_dict("records")
    n = f"{source.n} in {samples.n_clusters} sequences or single frames"
    scores = [
        charts.Estimate(
            label=title_of(row["model"]), value=row["estimate"], low=row["low"], high=row["high"]
        )
        for row in rows
    ]
    places = [
        charts.Estimate(
            label=title_of(row["model"]),
            value=row["rank"],
            low=row["rank_low"],
            high=row["rank_high"],
        )
        for row in rows
    ]
    return [
        Plot(
            title="Score",
            html=for_both(
                lambda canvas: charts.intervals(
                    scores, title="Score by model", axis="score, 0 to 1", canvas=canvas
                )
            ),
            caption=f"Mean of F1, F2, PPV and recall, with its {_LEVEL} interval; {n}.",
        ),
        Plot(
            title="Rank stability",
            html=for_both(
                lambda canvas: charts.intervals(
                    places,
                    title="Rank by model",
                    axis="rank, 1 is best",
                    canvas=canvas,
                    decimals=0,
                    ends=(1.0, float(max(len(places), 2))),
                )
            ),
            caption="The rank by score, and between which ranks it falls in "
            f"{_LEVEL} of the resamples; {n}.",
        ),
        table(ranks.rank_view(samples, title=f"Ranks, {source.name}")),
    ]


def pairs(source: PageContent, samples: Samples) -> list[Table | Plot]:
    """Every pair of models: the difference in F1 and its p, in one matrix."""
    f1 = select(samples, ["f1"])
    means = np.nanmean(f1.values[:, :, 0], axis=1)
    found = list(combinations(range(len(f1.models)), 2))
    names = [(f1.models[a], f1.models[b]) for a, b in found]
    corrected = holm(permutation_test(f1, names)[:, 0])
    cells = {}
    for (a, b), p in zip(found, corrected, strict=True):
        difference, told = float(means[a] - means[b]), bool(p < 1 - LEVEL)
        cells[a, b] = grids.Pair(difference=difference, p=float(p), told=told)
        cells[b, a] = grids.Pair(difference=-difference, p=float(p), told=told)
    labels = [title_of(name) for name in f1.models]
    return [
        Plot(
            title="Difference in F1, row less column",
            html=for_both(
                lambda canvas: grids.matrix(
                    labels, cells, title="Difference in F1 of every pair", canvas=canvas
                )
            ),
            caption="Blue: the row's model has the higher mean F1 (0 to 1); vermilion: the "
            "column's. Below each difference its p by the paired permutation test that swaps "
            f"whole sequences, after Holm's correction for {len(found)} pairs; framed: told apart "
            f"at {1 - LEVEL:.2g}; {source.n} in {samples.n_clusters} sequences or single frames.",
        )
    ]
