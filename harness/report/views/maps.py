"""Tables of probability maps: curves over thresholds, calibration, thresholds that keep a risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from harness.report.tables.columns import Column
from harness.report.tables.view import View, capitalised, titled
from harness.report.views.by_class import MODEL, N, regions
from metrics.calibration import BINS
from metrics.curves import RATES, RESAMPLES, sensitivity_at
from metrics.frame.candidates import CUT
from metrics.frame.lesions import MIN_IOU
from metrics.statistics.clusters import few_clusters_note

if TYPE_CHECKING:
    from harness.evaluation.calibration import Calibration
    from harness.evaluation.curves import Curves

SHOWN: Final = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""Thresholds of the table by pixel."""

_FIGURES: Final = {"dice": "Dice", "precision": "Precision", "recall": "Recall"}

_CALIBRATION: Final = {
    "ece": "ECE", "ece_t": "ECE, cal.", "brier": "Brier", "brier_t": "Brier, cal.",
    "ece_polyp": "ECE {}", "ece_polyp_t": "ECE {}, cal.", "brier_polyp": "Brier {}",
    "brier_polyp_t": "Brier {}, cal.",
}  # fmt: skip


def by_pixel_view(curves: Mapping[str, Curves], *, split: str) -> View:
    """Dice, precision and recall of each model at nine thresholds, with their bands."""
    rows = []
    for model, found in curves.items():
        for threshold in SHOWN:
            away = (found.by_pixel["threshold"] - threshold).abs().to_numpy()
            row = found.by_pixel.iloc[int(away.argmin())].to_dict()
            rows.append({"model": model, **row, "threshold": threshold})
    return View(
        frame=titled(pd.DataFrame(rows)),
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
        f"{max(found.frames for found in curves.values())} frames."
        + few_clusters_note(min(found.effective_clusters for found in curves.values())),
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
        frame=titled(pd.DataFrame(rows)),
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


def calibration_view(found: Mapping[str, Calibration], *, split: str, class_: str) -> View:
    """Calibration error and Brier score of each model, before and after its temperature."""
    rows = [{"model": model, **one.figures} for model, one in found.items()]
    return View(
        frame=titled(pd.DataFrame(rows)),
        data_only_columns=["model"],
        columns=[
            MODEL,
            Column("temperature", "Temperature", decimals=2),
            *(
                Column(key, title.format(regions(class_)), decimals=4, best="min")
                for key, title in _CALIBRATION.items()
            ),
            N,
        ],
        title=f"{split} split, calibration",
        caption=f"ECE: expected calibration error, {BINS} bins; Brier: mean squared error of the "
        f"probability. By pixel, and by {class_}: candidates' scores against whether they find "
        "one. Cal.: after the temperature that was fitted on the validation split; on that split "
        "itself it looks better than it is.",
    )


def risk_view(found: Mapping[str, list[dict[str, Any]]], *, split: str, class_: str) -> View:
    """The thresholds that keep the share of missed pixels of a class below a risk.

    ``found`` maps each model to ``harness.evaluation.calibration.risk_rows``.
    """
    rows = [{"model": model, **row} for model, own in found.items() for row in own]
    return View(
        frame=titled(pd.DataFrame(rows)),
        data_only_columns=["model"],
        columns=[
            MODEL,
            Column("risk", "Risk"),
            Column("threshold", "Threshold", decimals=3),
            Column("missed", "Missed, left out", decimals=3),
            Column("precision", "Precision", decimals=3),
            Column("sequences", "Sequences"),
        ],
        title=f"{split} split, conformal risk control",
        group="model",
        caption="Threshold: what 'predict --risk' takes of a network of one class if the split is "
        f"val. Missed, left out: the mean share of {class_} pixels missed in each sequence at the "
        "threshold that the others give. Precision: of all pixels at the threshold. Sequences: "
        f"those with any {class_}, single frames included; a dash: too few of them.",
    )
