"""The scores of packages as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.data.listing import natural
from harness.report.tables.choices import AVERAGES, Format
from harness.report.tables.columns import Column
from harness.report.tables.view import View, in_order
from harness.report.views.by_class import left_out_columns, left_out_note
from metrics.averages import SD_OF, Average
from submissions.leaderboard import averaged
from submissions.ledger import OVERALL

if TYPE_CHECKING:
    from metrics.masks.read import Protocol

_FIGURES: Final = {
    "f1": "F1", "f2": "F2", "ppv": "PPV", "recall": "Recall", "iou": "IoU",
    "specificity": "Spec.", "accuracy": "Acc.",
}  # fmt: skip


def scores_view(
    figures: Sequence[pd.DataFrame], format_: Format, *, average: Average, protocol: Protocol
) -> View:
    """One package by test set, with both averages over the sets; of several packages one.

    ``figures`` are the ``PackageScore.figures`` of each package, with its name in the column
    ``package``; ``average`` comes first, and orders several packages. CSV and JSON have every SD
    and both averages.
    """
    rows = _rows(figures[0], average) if len(figures) == 1 else _overall(figures, average)
    columns = [
        Column("package", "Package"),
        Column("test_set", "Test set"),
        Column("average", "Average over"),
        Column("score", "Score", decimals=3, sd="sd"),
        Column("sd_name", "SD"),
        *(Column(key, title, decimals=3) for key, title in _FIGURES.items()),
        Column("n", "Frames"),
        *left_out_columns(rows),
        Column("latency_ms", "ms/frame", decimals=1),
    ]
    if len(figures) > 1:
        other = "frames" if average == "sets" else "sets"
        columns.insert(4, Column(f"score_{other}", f"Score ({other})", decimals=3))
    if format_ in ("csv", "json"):
        columns += [Column(key) for key in (*SD_OF.values(), "score_sets", "score_frames")]
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in AVERAGES.items())
    return View(
        frame=rows,
        columns=columns,
        title=f"Scores by the {protocol} protocol",
        caption=f"Averages over {meanings}. Score: mean of F1, F2, PPV and recall, \u00b1 "
        "sd_frames (the mean of their SDs over frames) or sd_sets (the SD of the score over the "
        "test sets)." + left_out_note(rows, protocol),
    )


def _rows(figures: pd.DataFrame, average: Average) -> pd.DataFrame:
    """The test sets, then both averages over them."""
    overall = figures["test_set"] == OVERALL
    other: Average = "frames" if average == "sets" else "sets"
    sd = SD_OF["frames"]
    sets = figures[~overall].assign(average="frames", sd_name=sd, sd=figures[sd])
    sets = in_order(sets, natural, "test_set")
    rows = [_averaged(figures[overall], one) for one in (average, other)]
    return pd.concat([sets, *rows], ignore_index=True)


def _overall(figures: Sequence[pd.DataFrame], average: Average) -> pd.DataFrame:
    """The average over all test sets of each package, best first."""
    rows = pd.concat([one[one["test_set"] == OVERALL] for one in figures], ignore_index=True)
    return _averaged(rows, average).sort_values("score", ascending=False, kind="stable")


def _averaged(overall: pd.DataFrame, average: Average) -> pd.DataFrame:
    rows = averaged(overall, average)
    return rows.assign(sd=rows[SD_OF[average]], sd_name=SD_OF[average])
