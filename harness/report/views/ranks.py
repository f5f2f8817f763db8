"""Ranks with their uncertainty, and models compared in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isnan
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from harness.report.tables.columns import Column
from harness.report.tables.view import View, capitalised, title_of, titled
from metrics.statistics.clusters import few_clusters_note
from metrics.statistics.ranking import Ranking, rank

if TYPE_CHECKING:
    from metrics.statistics.comparison import Comparison
    from metrics.statistics.samples import Samples
    from metrics.statistics.seeds import SeedSpread

MOST_TIES: Final = 6
"""Models that are named as tied with another; of more of them only the number is shown."""


# To a cache a call without the figure is another than one with 'score'.
_kept: Final = lru_cache(maxsize=2)(rank)


def ranking_of(samples: Samples, figure: str = "score") -> Ranking:
    """Their ranking, kept for a page that shows it in several ways; it must not be changed."""
    return _kept(samples, figure)


def rank_view(samples: Samples, *, title: str, figure: str = "score") -> View:
    """Models in order of a figure, with intervals of figure and rank."""
    ranking = ranking_of(samples, figure)
    level = f"{100 * ranking.level:g} %"
    return View(
        frame=_readable(ranking.table),
        columns=[
            Column("place", "Rank", justify="right"),
            Column("title", "Model"),
            Column(
                "estimate", f"{capitalised(figure)} [{level}]", decimals=3, interval=("low", "high")
            ),
            Column("ranks", f"Rank, {level}"),
            Column("p_first", "P(first)", decimals=3),
            Column("ties", "Tied with"),
            Column("rank", "Mean then rank"),
            Column("rank_by_frames", "Rank then mean"),
        ],
        title=title,
        data_only_columns=["model", "rank_low", "rank_high", "mean_rank", "tied_rank", "tied_with"],
        caption=f"{capitalised(figure)}: {samples.averaged}. "
        "Rank: 1 + the number of models that are significantly better (paired permutation "
        "tests of all pairs, Holm's correction); =: not significantly different from others. "
        f"n = {len(samples.frames)} frames in {samples.n_clusters} sequences or single "
        f"frames; {ranking.settings}. Mean then rank: by the mean {figure}; rank then mean: by the "
        "mean of its ranks in each frame. Kendall's tau between these two: "
        f"{'undefined' if isnan(ranking.kendall_tau) else f'{ranking.kendall_tau:.3f}'}."
        + few_clusters_note(samples.effective_clusters)
        + (f" A dash: {figure} is undefined." if ranking.table["estimate"].isna().any() else ""),
    )


def _readable(ranking: pd.DataFrame) -> pd.DataFrame:
    """Ranks with titles, ranges and ties as text."""
    rows = titled(ranking)
    rows["ranks"] = [
        f"{low}" if low == high else f"{low} to {high}"
        for low, high in zip(rows["rank_low"], rows["rank_high"], strict=True)
    ]
    tied = rows["tied_with"].map(bool)
    rows["place"] = rows["tied_rank"].astype(str) + tied.map({True: " =", False: ""})
    rows["ties"] = [_ties(names, list(rows["model"])) for names in rows["tied_with"]]
    rows = rows.assign(tied_with=rows["tied_with"].map(", ".join))
    # What is undefined has no rank: it is missing in each of these columns.
    whole = rows.select_dtypes("integer").columns
    rows = rows.astype(dict.fromkeys(whole, "Int64"))
    rows.loc[rows["estimate"].isna(), rows.columns.difference(["model", "title"])] = None
    return rows


def _ties(tied: Sequence[str], ranked: Sequence[str]) -> str:
    """The models that one is tied with, the best first."""
    if len(tied) == len(ranked) - 1 > 1:
        return "all others"
    if len(tied) > MOST_TIES:
        return f"{len(tied)} models"
    return ", ".join(title_of(name) for name in ranked if name in tied)


def comparison_view(
    comparisons: Sequence[Comparison],
    over_seeds: Sequence[SeedSpread] = (),
    *,
    title: str,
    settings: str = "",
) -> View:
    """Each comparison with its interval, tests and effect sizes.

    Args:
        comparisons: One a figure and pair.
        over_seeds: The same differences over seeds, in the same order; shown where a model was
            trained from several.
        title: Heading above the table.
        settings: How it was resampled, for the caption.
    """
    rows = pd.DataFrame(comparisons)
    first = comparisons[0]
    corrected = bool(rows["p_holm"].notna().any())
    caption = (
        f"n = {first.n_frames} frames in {first.n_clusters} sequences or single frames. "
        "p: paired permutation test; Wilcoxon, d_z (mean over SD) and r_rb (rank-biserial) over "
        f"sequences; better in: share of frames, ties as half. {settings}".rstrip()
    )
    columns = _comparison_columns(first, corrected=corrected)
    if any(max(one.seeds) > 1 for one in over_seeds):
        rows = rows.assign(**_seed_columns(comparisons, over_seeds))
        columns += _SEED_COLUMNS
        caption += _SEED_CAPTION
    return View(
        frame=rows,
        columns=columns,
        title=title,
        caption=caption,
        group="b",
        data_only_columns=[
            "a",
            *([] if corrected else ["p_holm"]),
            "level",
            "n_frames",
            "n_clusters",
        ],
    )


_SEED_COLUMNS: Final = [
    Column("seeds", "Seeds"),
    Column("seeds_low", "Over seeds, from", decimals=3),
    Column("seeds_high", "to", decimals=3),
    Column("decides", "Decides"),
]
_SEED_CAPTION: Final = (
    " Figures are means over seeds. Over seeds: Welch's interval of the difference, where both "
    "models have two seeds or more. Decides: the wider of this interval and that over sequences."
)


def _comparison_columns(first: Comparison, *, corrected: bool) -> list[Column]:
    level = f"{100 * first.level:g} %"
    interval = ("low", "high")
    return [
        Column("b", "Than"),
        Column("figure", "Figure"),
        Column("mean_a", first.a, decimals=3),
        Column("mean_b", "Other", decimals=3),
        Column("difference", f"Difference [{level}]", decimals=3, interval=interval),
        Column("p_permutation", "p", decimals=4, least=1e-4),
        *([Column("p_holm", "p (Holm)", decimals=4, least=1e-4)] if corrected else []),
        Column("p_wilcoxon", "Wilcoxon p", decimals=4, least=1e-4),
        Column("cohens_dz", "d_z", decimals=2),
        Column("rank_biserial", "r_rb", decimals=2),
        Column("superiority", "Better in", decimals=3),
    ]


def _seed_columns(
    comparisons: Sequence[Comparison], over_seeds: Sequence[SeedSpread]
) -> dict[str, Any]:
    pairs = list(zip(comparisons, over_seeds, strict=True))
    return {
        "seeds": [" and ".join(map(str, one.seeds)) for one in over_seeds],
        "seeds_low": [one.low for one in over_seeds],
        "seeds_high": [one.high for one in over_seeds],
        "decides": [one.decides(row.low, row.high) for row, one in pairs],
    }
