"""Training curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.report.page import charts_xy
from harness.report.page.content import PageContent, Plot
from harness.report.tables.columns import Column, Table
from harness.report.tables.view import View, capitalised, title_of
from metrics.utils.names import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

_CURVES: Final = (
    ("f1", "Validation F1", "F1, 0 to 1", "Mean over the validation frames, at the size of "
     "training."),
    ("loss", "Training loss", "loss, mean over steps", "Losses of different recipes are not on "
     "one scale."),
)  # fmt: skip


def training(content: PageContent) -> tuple[list[Table | Plot], list[Table]]:
    """The curves of every run that has them, and their best epochs as a table."""
    known = {name: rows for name, rows in content.histories.items() if not rows.empty}
    if not known:
        return [], []
    curves: list[Table | Plot] = [_curve(content, known, *curve) for curve in _CURVES]
    return curves, [_best_epochs(known, content.class_)]


def _curve(
    content: PageContent,
    known: Mapping[str, pd.DataFrame],
    key: str,
    title: str,
    axis: str,
    caption: str,
) -> Plot:
    series = [
        (content.styles[name], list(zip(rows["epoch"].tolist(), rows[key].tolist(), strict=True)))
        for name, rows in known.items()
    ]
    *fewer, most = sorted({len(rows) for rows in known.values()})
    epochs = " or ".join([*map(str, fewer), counted(most, "epoch")])
    return Plot(
        title=title,
        spec=charts_xy.lines(series, title=f"{title} by epoch", axis=axis),
        caption=f"{caption} n = {counted(len(known), 'run')} of {epochs}.",
    )


def _best_epochs(known: Mapping[str, pd.DataFrame], class_: str) -> Table:
    rows = []
    for name, history in known.items():
        best = history.iloc[int(history["f1"].to_numpy().argmax())]
        last = history.iloc[-1]
        rows.append(
            {"model": title_of(name), "epochs": len(history), "best": int(best["epoch"]),
             "best_f1": best["f1"], "f1": last["f1"], "loss": last["loss"]}
        )  # fmt: skip
    view = View(
        frame=pd.DataFrame(rows),
        columns=[
            Column("model", "Model"),
            Column("epochs", "Epochs"),
            Column("best", "Epoch of the best F1"),
            Column("best_f1", "Best F1", decimals=3),
            Column("f1", "Last F1", decimals=3),
            Column("loss", "Last loss", decimals=3),
        ],
        title="Best and last epochs",
        caption=f"{capitalised(class_)} class of the validation split, at the size of training; "
        f"n = {counted(len(known), 'run')}.",
    )
    return view.table()
