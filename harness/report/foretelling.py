"""Do the members disagree, and does it foretell errors? And what training looked like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.report import charts, grids
from harness.report.columns import Column
from harness.report.results import View, title_of
from harness.report.source import Plot, table
from harness.report.svg import for_both, legend
from metrics.divergence import POOR, foretells

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from harness.report.columns import Table
    from harness.report.source import Source

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


def divergence(source: Source) -> list[Table | Plot]:
    """Disagreement against F1, frame by frame, and how well the one foretells the other."""
    if source.divergence is None:
        return []
    import pandas as pd

    of_ensemble = source.polyp[source.polyp["model"] == source.ensemble]
    joined = source.divergence.merge(of_ensemble[["frame", "f1"]], on="frame", validate="1:1")
    points = list(
        zip(joined["frame"], joined["disagreement"].tolist(), joined["f1"].tolist(), strict=True)
    )
    rows = []
    for key, title in MEASURES.items():
        told = foretells(joined[key].to_numpy(), joined["f1"].to_numpy())
        rows.append({"measure": title, "mean": joined[key].mean(), **told._asdict()})
    members = ", ".join(title_of(name) for name in source.members)
    name = title_of(source.ensemble)
    view = View(
        frame=pd.DataFrame(rows),
        columns=[
            Column(key="measure", title="Disagreement"),
            Column(key="mean", title="Mean", decimals=3),
            Column(key="spearman", title="Spearman with F1", decimals=3),
            Column(key="auroc", title=f"AUROC, F1 < {POOR:g}", decimals=3),
            Column(key="poor", title=f"F1 < {POOR:g}"),
            Column(key="frames", title="Frames"),
        ],
        title="Does disagreement foretell a poor prediction?",
        caption=f"Of {members}. An AUROC of 0.5 is chance; 1 means that the frames not to trust "
        "are known without their truth. A dash: no frame is poor, or all are.",
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


def training(source: Source) -> list[Table | Plot]:
    """The curves of every run that has them."""
    known = {name: rows for name, rows in source.histories.items() if not rows.empty}
    return [_curve(source, known, *curve) for curve in _CURVES] if known else []


def _curve(
    source: Source,
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
