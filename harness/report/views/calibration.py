"""Calibration of probabilities, and thresholds that keep a risk, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from harness.report.tables.columns import Column
from harness.report.tables.view import View, title_of
from harness.report.views.by_class import MODEL, N, regions
from metrics.calibration import BINS

if TYPE_CHECKING:
    from harness.evaluation.calibration import Calibration

_FIGURES: Final = {
    "ece": "ECE", "ece_t": "ECE, cal.", "brier": "Brier", "brier_t": "Brier, cal.",
    "ece_polyp": "ECE {}", "ece_polyp_t": "cal.", "brier_polyp": "Brier {}",
    "brier_polyp_t": "cal.",
}  # fmt: skip


def calibration_view(found: Mapping[str, Calibration], *, split: str, class_: str) -> View:
    """Calibration error and Brier score of each model, before and after its temperature."""
    rows = [
        {"model": model, "title": title_of(model), **one.figures} for model, one in found.items()
    ]
    return View(
        frame=pd.DataFrame(rows),
        data_only_columns=["model"],
        columns=[
            MODEL,
            Column("temperature", "Temperature", decimals=2),
            *(
                Column(key, title.format(regions(class_)), decimals=4, best="min")
                for key, title in _FIGURES.items()
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
    rows = [
        {"model": model, "title": title_of(model), **row}
        for model, own in found.items()
        for row in own
    ]
    return View(
        frame=pd.DataFrame(rows),
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
        caption="Threshold: what 'predict --risk' takes if the split is val. Missed, left out: the "
        f"mean share of {class_} pixels missed in each sequence at the threshold that the others "
        f"give. Precision: of all pixels at the threshold. Sequences: those with any {class_}, "
        "single frames included; a dash: too few of them.",
    )
