"""A round's consensus over figures and test sets, its podium, and which models differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from harness.report.page import charts_ranks
from harness.report.page.content import PageContent, Plot
from harness.report.page.vega import MANY_ROWS
from harness.report.tables.view import title_of
from harness.report.views.consensus import consensus_view, samples_by_set
from harness.report.views.ranks import ranking_of
from metrics.statistics import consensus as rules
from metrics.statistics.bootstrap_intervals import LEVEL
from metrics.statistics.samples import Samples, select

if TYPE_CHECKING:
    from harness.report.tables.columns import Table

PLACES: Final = 6
"""Models on the podium: the best by score."""

FRAMES: Final = 300
"""Most frames drawn on the podium, evenly chosen; all of them count for the places."""


def consensus(content: PageContent, samples: Samples | None) -> list[Table | Plot]:
    """The consensus as a table, the podium and the significance map; nothing for a split."""
    if samples is None or content.split:
        return []
    found = rules.consensus(samples_by_set(content.frames, "official"))
    return [
        consensus_view(found, title=f"Consensus, {content.name}").table(),
        *podium(content, samples),
        significance(samples),
    ]


def podium(content: PageContent, samples: Samples) -> list[Plot]:
    """Which models take which places in each frame, by F1, as in challengeR's podium plot."""
    first = [str(name) for name in ranking_of(samples).table["model"][:PLACES]]
    values = select(samples, ["f1"]).values[[samples.position(name) for name in first], :, 0]
    # (places, frames): which of the models takes a place. Equal ones keep a fixed order, so that
    # each place is taken once.
    order = np.argsort(-np.nan_to_num(values, nan=-1.0), axis=0, kind="stable")
    styles = [content.styles[name] for name in first]
    drawn = range(0, len(samples.frames), math.ceil(len(samples.frames) / FRAMES))
    dots = [
        (samples.frames[n], place + 1, styles[int(m)], float(values[m, n]))
        for n in drawn
        for place, m in enumerate(order[:, n])
    ]
    counts = [
        (place + 1, style, int((order[place] == m).sum()))
        for place in range(len(first))
        for m, style in enumerate(styles)
    ]
    n = f"n = {len(samples.frames)} frames"
    return [
        Plot(
            title="Podium",
            spec=charts_ranks.podium(dots, styles, title="F1 by place in each frame"),
            caption=f"The {len(first)} models of the highest scores. Each line is a frame: its "
            f"models from the highest F1 (0 to 1) to the lowest. {n}, of which "
            f"{len(drawn)} are drawn.",
        ),
        Plot(
            title="Places",
            spec=charts_ranks.place_counts(counts, styles, title="Frames by place and model"),
            caption=f"In how many frames each of them takes a place, by F1; {n}.",
        ),
    ]


def significance(samples: Samples) -> Plot:
    """Which models are significantly better than which, by score, as a map."""
    table = ranking_of(samples).table
    names = [str(name) for name in table["model"]]
    tied = dict(zip(names, table["tied_with"], strict=True))
    # Names are in the order of their scores, so only an earlier one can be the better.
    cells = [
        (title_of(row), title_of(column), column not in tied[row] and i < j)
        for i, row in enumerate(names)
        for j, column in enumerate(names)
        if i != j
    ]
    return Plot(
        title="Significance map",
        spec=charts_ranks.significance_map(
            [title_of(name) for name in names], cells, title="Which models are better than which"
        ),
        caption="Blue: the row's model is significantly better than the column's, by score "
        "(paired permutation tests over whole sequences, Holm's correction, level "
        f"{1 - LEVEL:.2g}). Models in the order of their scores.",
        wide=len(names) > MANY_ROWS,
    )
