"""One ranking from several figures and test sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from harness.data.listing import natural
from harness.report.tables.columns import Column
from harness.report.tables.view import View, titled
from metrics.endocv import SCORED
from metrics.statistics.consensus import KEMENY_RESAMPLES, Consensus
from metrics.statistics.samples import Samples, collect, select, with_parts
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from metrics.masks.read import Protocol

MOST_TASKS: Final = 12
"""Up to so many rankings each has a column; more are only in CSV and JSON."""


def samples_by_set(
    table: pd.DataFrame,
    protocol: Protocol,
    *,
    figures: Sequence[str] = (),
    test_sets: Sequence[str] = (),
) -> dict[str, Samples]:
    """The chosen figures of each chosen test set.

    Args:
        table: Frame tables of all models, with ``model`` and ``test_set``.
        protocol: How the figures are computed.
        figures: As for ``metrics.statistics.samples.collect``; those of the score by default. They
            come first, and behind them what the score among them is made of.
        test_sets: All by default, in natural order.

    Raises:
        UserError: There is no such figure or test set.
    """
    there = sorted(table["test_set"].unique(), key=natural)
    if unknown := [name for name in test_sets if name not in there]:
        raise UserError(f"no test set {', '.join(unknown)} here; there are {', '.join(there)}.")
    chosen = with_parts(figures or SCORED)
    return {
        name: select(
            collect(table[table["test_set"] == name], figures=chosen, protocol=protocol), chosen
        )
        for name in test_sets or there
    }


def consensus_view(found: Consensus, *, title: str) -> View:
    """A consensus as a table."""
    level = f"{100 * found.level:g} %"
    rows = titled(found.table)
    for name in ("rank", "kemeny"):
        limits = zip(rows[f"{name}_low"], rows[f"{name}_high"], strict=True)
        rows[f"{name}s"] = [f"{low}" if low == high else f"{low} to {high}" for low, high in limits]
    tasks = found.tasks if len(found.tasks) <= MOST_TASKS else ()
    how = "exactly" if found.exact else "by a local search from Borda's order"
    return View(
        frame=rows,
        columns=[
            Column("rank", "Rank"),
            Column("title", "Model"),
            Column("mean_rank", "Mean rank", decimals=2),
            Column("ranks", f"Rank, {level}"),
            Column("p_first", "P(first)", decimals=3),
            Column("borda", "Borda", decimals=1),
            Column("kemeny", "Kemeny"),
            Column("kemenys", f"Kemeny, {level}"),
            *(Column(name, _short(name), decimals=1) for name in tasks),
        ],
        title=title,
        data_only_columns=[
            "model", "rank_low", "rank_high", "kemeny_low", "kemeny_high",
            *(name for name in found.tasks if name not in tasks),
        ],
        caption=f"Ranked by the mean of the ranks by {len(found.tasks)} figures and test sets; "
        "equal models share the mean of their ranks, undefined figures are last. Borda: points for "
        "the models behind it; their order is that of the mean ranks. Kemeny: the order that "
        f"contradicts the fewest pairs, found {how} "
        f"({100 * found.disagreement:.1f} % of the pairs are the other way round). "
        f"{found.settings[0].upper()}{found.settings[1:]}; Kemeny's interval from "
        f"{KEMENY_RESAMPLES} of them.",
    )  # fmt: skip


def _short(task: str) -> str:
    """A heading such as 'F1 DATA1' of the ranking 'f1 EndoCV_DATA1'."""
    figure, _, test_set = task.partition(" ")
    title = figure.upper() if len(figure) < 4 else figure.capitalize()
    return f"{'IoU' if figure == 'iou' else title} {test_set.removeprefix('EndoCV_')}"
