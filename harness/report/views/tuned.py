"""What ``harness tune`` tried, and what it took."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import pandas as pd

from harness.report.tables.columns import Column
from harness.report.tables.view import View
from harness.report.views.by_class import FIGURES

if TYPE_CHECKING:
    from harness.evaluation.tuning.search import Candidate


def tuned_view(tried: Sequence[Candidate], figure: str, *, title: str) -> View:
    """One row a candidate, step by step; ``figure`` is what was to become better."""
    rows = pd.DataFrame(
        [
            {
                **dataclasses.asdict(one),
                "told": "" if isnan(one.difference) else "yes" if one.is_certain else "no",
                "chosen": "x" if one.taken else "",
            }
            for one in tried
        ]
    )
    titles = {column.key: column.title for column in FIGURES}
    return View(
        frame=rows,
        columns=[
            Column("step", "Step"),
            Column("value", "Candidate"),
            Column("mean", titles.get(figure, figure), decimals=3),
            Column("difference", "Change [95 %]", decimals=3, interval=("low", "high")),
            Column("told", "Told apart"),
            Column("chosen", "Taken"),
        ],
        title=title,
        caption="Change: to what was chosen until then, the first row of each step, with its "
        "bootstrap interval over sequences; told apart where that leaves out 0. These frames were "
        "chosen on, so all figures here are too good; measure the new run on others.",
        group="step",
        data_only_columns=["taken"],
    )
