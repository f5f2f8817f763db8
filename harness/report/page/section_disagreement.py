"""Disagreement between an ensemble's members, and whether it predicts errors."""

from __future__ import annotations

from typing import Final

import pandas as pd

from harness.report.page import charts_xy
from harness.report.page.content import Members, PageContent, Plot
from harness.report.tables.columns import Column, Table
from harness.report.tables.view import View, title_of
from metrics.statistics.bootstrap import RESAMPLES
from metrics.statistics.bootstrap_intervals import LEVEL
from metrics.statistics.clusters import clusters_of
from metrics.statistics.error_prediction import POOR, ErrorPrediction, Estimate, predict_errors

MEASURES: Final = {
    "disagreement": "1 - mean pairwise IoU",
    "vote_variance": "variance of votes, mean over pixels",
}


def disagreement(content: PageContent) -> list[Table | Plot]:
    """Disagreement against F1, frame by frame, and how well it predicts poor frames."""
    if content.members is None:
        return []
    of_ensemble = content.polyp[content.polyp["model"] == content.ensemble]
    joined = content.members.divergence.merge(of_ensemble, on="frame", validate="1:1")
    points = list(
        zip(joined["frame"], joined["disagreement"].tolist(), joined["f1"].tolist(), strict=True)
    )
    name = title_of(content.ensemble)
    plot = Plot(
        title=f"Disagreement and F1 of {name}",
        spec=charts_xy.scatter(
            points,
            title="Disagreement of the members and F1 by frame",
            across="disagreement, 1 - mean pairwise IoU",
            up="F1 of the ensemble, 0 to 1",
            below=POOR,
        ),
        caption=f"One mark a frame, {content.n}; a click opens the frame. Crosses: F1 below "
        f"{POOR:g}. Disagreement between the members' masks is 0 (all alike) to 1. Drag to move, "
        "Ctrl and wheel to zoom, double click to reset.",
    )
    return [plot, _table(content.members, joined)]


def _table(members: Members, joined: pd.DataFrame) -> Table:
    """Correlation with F1, and AUROC for poor frames, of each measure of disagreement."""
    f1, clusters = joined["f1"].to_numpy(), clusters_of(joined)
    found = {key: predict_errors(joined[key].to_numpy(), f1, clusters) for key in MEASURES}
    rows = [
        {"measure": title, "mean": joined[key].mean(), **_cells(found[key])}
        for key, title in MEASURES.items()
    ]
    columns = [
        Column("measure", "Disagreement"),
        Column("mean", "Mean", decimals=3),
        Column(
            "spearman", "Spearman with F1", decimals=3, interval=("spearman_low", "spearman_high")
        ),
        Column("auroc", f"AUROC, F1 < {POOR:g}", decimals=3, interval=("auroc_low", "auroc_high")),
        Column("poor", f"F1 < {POOR:g}"),
        Column("frames", "Frames"),
    ]
    names = ", ".join(title_of(name) for name in members.names)
    view = View(
        frame=pd.DataFrame(rows),
        columns=columns,
        title="Does disagreement predict errors?",
        caption=f"Between {names}. AUROC: 0.5 is chance; 1 means that disagreement alone finds "
        "every poor frame, without the truth. A dash: no frame is poor, or all are. In brackets, "
        f"{100 * LEVEL:g} % bootstrap intervals (BCa, {RESAMPLES:,} resamples of "
        f"{found['disagreement'].clusters} sequences or single frames, seed 0).",
    )
    return view.table()


def _cells(found: ErrorPrediction) -> dict[str, float]:
    """A row of the table: each figure, and its limits beside it."""
    cells: dict[str, float] = {"poor": found.poor, "frames": found.frames}
    for name in ("spearman", "auroc"):
        figure: Estimate = getattr(found, name)
        cells |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return cells
