"""Do the members disagree, and does it foretell errors? And what training looked like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.report.page import charts, grids
from harness.report.page.content import Plot, table
from harness.report.page.svg import for_both, legend
from harness.report.tables.columns import Column
from harness.report.tables.view import View, title_of
from metrics.statistics.bootstrap import LEVEL, RESAMPLES
from metrics.statistics.error_prediction import POOR, ErrorPrediction, Estimate, predict_errors
from metrics.statistics.samples import clusters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from harness.report.page.content import PageContent
    from harness.report.tables.columns import Table

MEASURES: Final = {
    "disagreement": "1 - mean pairwise IoU",
    "vote_variance": "variance of votes, mean over pixels",
}
_CURVES: Final = (
    ("f1", "Validation F1", "F1, 0 to 1", "Of the polyp class, mean over the validation frames, "
     "at the size that the epoch trained at."),
    ("loss", "Training loss", "loss, mean over steps", "Losses of different recipes are not of "
     "one scale."),
)  # fmt: skip


def divergence(source: PageContent) -> list[Table | Plot]:
    """Disagreement against F1, frame by frame, and how well the one foretells the other."""
    if source.divergence is None:
        return []
    import pandas as pd

    of_ensemble = source.polyp[source.polyp["model"] == source.ensemble]
    joined = source.divergence.merge(of_ensemble, on="frame", validate="1:1")
    points = list(
        zip(joined["frame"], joined["disagreement"].tolist(), joined["f1"].tolist(), strict=True)
    )
    f1, clusters = joined["f1"].to_numpy(), clusters_of(joined)
    told = {key: predict_errors(joined[key].to_numpy(), f1, clusters) for key in MEASURES}
    rows = [
        {"measure": title, "mean": joined[key].mean(), **_cells(told[key])}
        for key, title in MEASURES.items()
    ]
    members = ", ".join(title_of(name) for name in source.members)
    name = title_of(source.ensemble)
    view = View(
        frame=pd.DataFrame(rows),
        columns=[
            Column(key="measure", title="Disagreement"),
            Column(key="mean", title="Mean", decimals=3),
            Column(
                key="spearman",
                title="Spearman with F1",
                decimals=3,
                interval=("spearman_low", "spearman_high"),
            ),
            Column(
                key="auroc",
                title=f"AUROC, F1 < {POOR:g}",
                decimals=3,
                interval=("auroc_low", "auroc_high"),
            ),
            Column(key="poor", title=f"F1 < {POOR:g}"),
            Column(key="frames", title="Frames"),
        ],
        title="Does disagreement foretell a poor prediction?",
        caption=f"Of {members}. An AUROC of 0.5 is chance; 1 means that the frames not to trust "
        "are known without their truth. A dash: no frame is poor, or all are. In brackets, "
        f"{100 * LEVEL:g} % bootstrap intervals (BCa, {RESAMPLES:,} resamples of "
        f"{told['disagreement'].clusters} sequences or single frames, seed 0).",
    )
    plot = Plot(
        title=f"Disagreement and F1 of {name}",
        html=for_both(
            lambda canvas: grids.cloud(
                points,
                title="Disagreement of the members and F1 by frame",
                across="disagreement, 1 - mean pairwise IoU",
                up=f"F1 of {name}, 0 to 1",
                below=POOR,
                canvas=canvas,
            )
        ),
        caption=f"One mark a frame, {source.n}; crosses: F1 below {POOR:g}. Disagreement is "
        "between the members' masks, 0 (all alike) to 1.",
    )
    return [plot, table(view)]


def _cells(told: ErrorPrediction) -> dict[str, float]:
    """A row of the table: each figure, and its limits beside it."""
    cells: dict[str, float] = {"poor": told.poor, "frames": told.frames}
    for name in ("spearman", "auroc"):
        figure: Estimate = getattr(told, name)
        cells |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return cells


def training(source: PageContent) -> list[Table | Plot]:
    """The curves of every run that has them."""
    known = {name: rows for name, rows in source.histories.items() if not rows.empty}
    return [_curve(source, known, *curve) for curve in _CURVES] if known else []


def _curve(
    source: PageContent,
    known: Mapping[str, pd.DataFrame],
    key: str,
    title: str,
    axis: str,
    caption: str,
) -> Plot:
    series = [
        (
            source.styles[name],
            list(zip(rows["epoch"].astype(float), rows[key].astype(float), strict=True)),
        )
        for name, rows in known.items()
    ]
    epochs = " or ".join(sorted({str(len(rows)) for rows in known.values()}, key=int))
    drawn = for_both(
        lambda canvas: charts.lines(series, title=f"{title} by epoch", axis=axis, canvas=canvas)
    )
    return Plot(
        title=title,
        html=legend([source.styles[name] for name in known]) + drawn,
        caption=f"{caption} n = {len(known)} runs of {epochs} epochs.",
    )
