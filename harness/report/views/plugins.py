"""The figures of metric plug-ins as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.tables.columns import Column
from harness.report.tables.view import View
from harness.report.views import by_class
from harness.report.views.by_class import MODEL, N
from metrics.masks.classes import chosen_rows
from metrics.registry import frame_metrics

if TYPE_CHECKING:
    import pandas as pd


def plug_in_view(summary: pd.DataFrame, *, split: str) -> View | None:
    """The figures of metric plug-ins; ``None`` where the table has none.

    Args:
        summary: What ``by_class.figures`` gives.
        split: Name of the split, for the title.
    """
    there = [metric for name, metric in frame_metrics().items() if name in summary]
    if not there:
        return None
    notes = ["Polyp, where the figure is defined."]
    notes += [f"{metric.title}: {metric.note}" for metric in there if metric.note]
    return View(
        frame=chosen_rows(summary).reset_index(drop=True),
        data_only_columns=["model"],
        columns=[
            MODEL,
            *(
                Column(
                    key=metric.name,
                    title=metric.title,
                    decimals=metric.decimals,
                    best=metric.better,
                )
                for metric in there
            ),
            N,
        ],
        title=f"{split} split, figures of plug-ins",
        caption=" ".join([by_class.caption(summary), *notes]),
    )
