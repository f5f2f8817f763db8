"""Curves over thresholds as tables: what each model reaches at some thresholds, and by region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.report.tables.columns import Column
from harness.report.tables.view import View, capitalised, title_of
from harness.report.views.by_class import MODEL, N, regions
from metrics.curves import RATES, RESAMPLES, sensitivity_at
from metrics.frame.candidates import CUT
from metrics.frame.lesions import MIN_IOU

if TYPE_CHECKING:
    from harness.evaluation.curves import Curves

SHOWN: Final = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""Thresholds of the table by pixel."""

_FIGURES: Final = {"dice": "Dice", "precision": "Precision", "recall": "Recall"}


def by_pixel_view(curves: Mapping[str, Curves], *, split: str) -> View:
    """Dice, precision and recall of each model at nine thresholds, with their bands."""
    rows = []
    for model, found in curves.items():
        for threshold in SHOWN:
            away = (found.by_pixel["threshold"] - threshold).abs().to_numpy()
            row = found.by_pixel.iloc[int(away.argmin())].to_dict()
            rows.append({"model": model, "title": title_of(model), **row, "threshold": threshold})
    return View(
        frame=pd.DataFrame(rows),
        data_only_columns=["model"],
        columns=[
            MODEL,
            Column("threshold", "Threshold"),
            *(
                Column(key, title, decimals=3, interval=(f"{key}_low", f"{key}_high"))
                for key, title in _FIGURES.items()
            ),
        ],
        title=f"{split} split, by threshold",
        group="model",
        caption="Dice: mean over frames; precision and recall: of all frames' pixels together. In "
        f"brackets, 95 % bootstrap bands ({RESAMPLES:,} resamples of sequences, seed 0); n = "
        f"{max(found.frames for found in curves.values())} frames.",
    )


def by_region_view(curves: Mapping[str, Curves], *, split: str, class_: str) -> View:
    """Average precision by region of the chosen class, sensitivity, the best threshold."""
    named = regions(class_)
    rows = []
    for model, found in curves.items():
        best = found.by_pixel.iloc[int(found.by_pixel["dice"].to_numpy().argmax())]
        rows.append(
            {
                "model": model,
                "title": title_of(model),
                "average_precision": found.average_precision,
                **{f"sensitivity_{r:g}": sensitivity_at(found.by_polyp, r) for r in RATES},
                "best_threshold": best["threshold"],
                "best_dice": best["dice"],
                "polyps": found.polyps,
                "n": found.frames,
            }
        )
    rates = [Column(f"sensitivity_{r:g}", f"Sens. at {r:g}", decimals=3, best="max") for r in RATES]
    return View(
        frame=pd.DataFrame(rows),
        data_only_columns=["model"],
        columns=[
            MODEL,
            Column("average_precision", f"AP by {class_}", decimals=3, best="max"),
            *rates,
            Column("best_threshold", "Best threshold", decimals=3),
            Column("best_dice", "Dice there", decimals=3, best="max"),
            Column("polyps", capitalised(named)),
            N,
        ],
        title=f"{split} split, {named} by score",
        caption=f"Candidates: regions of probabilities above {CUT:g}, scored by their highest; one "
        f"finds a true one by an IoU of {MIN_IOU:g} or more, one for one. AP: area under precision "
        f"over sensitivity. Sens. at: share of {named} found with at most so many false candidates "
        "a frame. Best threshold: of the mean Dice, chosen on these very frames.",
    )
