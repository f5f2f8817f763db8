"""A round of many models: its hardest frames, and what tells the models apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
from scipy.stats import kendalltau

from harness.data.listing import natural
from harness.report.tables.columns import Column, Table
from harness.report.tables.view import View, capitalised, title_of
from harness.report.views.ranks import ranking_of
from metrics.statistics.bootstrap_intervals import LEVEL
from metrics.statistics.error_prediction import POOR
from metrics.statistics.ranking import rank
from metrics.statistics.samples import Samples, collect
from metrics.strata import add_stratum

if TYPE_CHECKING:
    from harness.report.page.content import PageContent, Plot

FEWEST: Final = 3
"""Of fewer models the page of a round has no such tables."""

HARDEST: Final = 20
"""Frames in the table of the hardest."""


def teams(content: PageContent, samples: Samples | None) -> list[Table | Plot]:
    """Both tables; nothing for a split or for fewer than ``FEWEST`` models."""
    if samples is None or content.split or len(content.models) < FEWEST:
        return []
    return [hardest(content), telling_apart(content, samples)]


def hardest(content: PageContent) -> Table:
    """The frames in which the best F1 of all models is the lowest."""
    polyp = add_stratum(content.polyp)
    f1 = polyp.pivot(index="frame", columns="model", values="f1")
    rows = polyp.drop_duplicates("frame").set_index("frame")[["stratum"]]
    rows = rows.assign(
        best=f1.max(axis=1),
        by=f1.idxmax(axis=1).map(title_of),
        median=f1.median(axis=1),
        poor=(f1 < POOR).sum(axis=1),
    ).reset_index()
    nobody = int((rows["best"] < POOR).sum())
    view = View(
        frame=rows.sort_values(["best", "median", "frame"]).head(HARDEST),
        columns=[
            Column("frame", "Frame"),
            Column("stratum", capitalised(content.class_)),
            Column("best", "Best F1", decimals=3),
            Column("by", "By"),
            Column("median", "Median F1", decimals=3),
            Column("poor", f"Models below {POOR}"),
        ],
        title="The hardest frames",
        caption=f"The {min(HARDEST, len(rows))} frames with the lowest best F1; in {nobody} of "
        f"{len(rows)} frames none of the {len(content.models)} models reaches {POOR}.",
    )
    return view.table()


def telling_apart(content: PageContent, samples: Samples) -> Table:
    """How well each test set alone orders the models, and how many pairs it tells apart."""
    overall = ranking_of(samples).table.set_index("model")["estimate"]
    rows = []
    sets = content.frames.groupby("test_set")
    for name, part in sorted(sets, key=lambda one: natural(str(one[0]))):
        table = rank(collect(part)).table.set_index("model")
        tied = sum(map(len, table["tied_with"])) / 2  # each of a pair names the other
        pairs = len(table) * (len(table) - 1) / 2
        scores = table["estimate"]
        rows.append(
            {"test_set": name, "frames": part["frame"].nunique(), "mean": scores.mean(),
             "sd": scores.std(ddof=0), "low": scores.min(), "high": scores.max(),
             "apart": 1 - tied / pairs, "tau": kendalltau(scores, overall[scores.index]).statistic}
        )  # fmt: skip
    view = View(
        frame=pd.DataFrame(rows),
        columns=[
            Column("test_set", "Test set"),
            Column("frames", "Frames"),
            Column("mean", "Mean score", decimals=3, sd="sd"),
            Column("low", "Lowest", decimals=3),
            Column("high", "Highest", decimals=3),
            Column("apart", "Pairs told apart", decimals=3),
            Column("tau", "Kendall's tau", decimals=3),
        ],
        title="Which test sets tell the models apart",
        caption="Mean and SD over models of the score on a test set. Pairs told apart: share of "
        "pairs that differ significantly there (permutation tests, Holm's correction, level "
        f"{1 - LEVEL:.2g}). Kendall's tau: how far its order agrees with that over all test sets.",
    )  # fmt: skip
    return view.table()
