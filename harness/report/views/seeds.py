"""How far the seeds of a model spread, beside the interval over sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from harness.report.tables.columns import Column
from harness.report.tables.view import View, titled
from metrics.averages import average_of
from metrics.statistics.bootstrap import resample
from metrics.statistics.bootstrap_intervals import LEVEL, intervals
from metrics.statistics.clusters import few_clusters_note
from metrics.statistics.samples import collect, select
from metrics.statistics.seeds import SeedSpread, pool, spread

if TYPE_CHECKING:
    from metrics.averages import Average
    from metrics.masks.read import Protocol

FIGURES: Final = ("iou", "f1", "f2", "ppv", "recall", "score")


def seed_view(
    frames: pd.DataFrame,
    seeds: Mapping[str, Sequence[str]],
    *,
    split: str,
    formulas: Protocol,
    average: Average | None = None,
) -> View | None:
    """Means over seeds with both intervals; ``None`` where no model has two seeds.

    ``frames`` are frame tables of the same frames, with a column ``model``; ``seeds`` maps each
    model to the names of its seeds in that column. ``average`` is that over several test sets.
    """
    several = {model: names for model, names in seeds.items() if len(names) > 1}
    if not several:
        return None
    over = average_of(frames, average)
    samples = select(collect(frames, protocol=formulas, average=over), FIGURES)
    over_sequences = intervals(resample(pool(samples, several)))
    limits = {
        (row["model"], row["figure"]): (row["low"], row["high"])
        for row in over_sequences.to_dict("records")
    }
    rows = [
        _row(model, found, *limits[model, found.figure])
        for model, names in several.items()
        for found in spread(samples, names)
    ]
    heading = f"Mean [{100 * LEVEL:g} % over sequences]"
    return View(
        frame=titled(pd.DataFrame(rows)),
        columns=[
            Column("title", "Model"),
            Column("seeds", "Seeds"),
            Column("figure", "Figure"),
            Column("mean", heading, decimals=3, interval=("low", "high")),
            Column("sd_seeds", "SD of seeds", decimals=3),
            Column("seeds_low", "Over seeds, from", decimals=3),
            Column("seeds_high", "to", decimals=3),
            Column("decides", "Decides"),
        ],
        title=f"{split} split, over seeds",
        caption=f"Figures: {samples.averaged}. Over seeds: Student's interval of the mean. "
        "Decides: the wider of the two intervals, the one that limits what the figures can tell."
        + few_clusters_note(samples.effective_clusters),
        group="title",
        data_only_columns=["model"],
    )


def _row(model: str, found: SeedSpread, low: float, high: float) -> dict[str, Any]:
    return {
        "model": model,
        "seeds": found.seeds[0],
        "figure": found.figure,
        "mean": found.mean,
        "low": low,
        "high": high,
        "sd_seeds": found.sd,
        "seeds_low": found.low,
        "seeds_high": found.high,
        "decides": found.decides(low, high),
    }
