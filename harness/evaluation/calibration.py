"""How well a model's probabilities are calibrated, and the thresholds that keep a risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from metrics.calibration import LEVELS, brier, calibration_error, reliability, tempered
from metrics.risk import conformal_place, left_out_losses, missed_shares
from metrics.statistics.clusters import clusters_of

if TYPE_CHECKING:
    import pandas as pd

    from metrics.utils.groups import Floats

RISKS: Final = (0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A model's calibration on some frames.

    Attributes:
        figures: ``ece`` and ``brier`` by pixel and ``ece_polyp``, ``brier_polyp`` by candidate;
            with ``_t`` at the end after the temperature, NaN without one; ``temperature``, ``n``.
        by_pixel: See ``metrics.calibration.reliability``.
        by_polyp: The same of candidates' scores.
    """

    figures: dict[str, float]
    by_pixel: pd.DataFrame
    by_polyp: pd.DataFrame


def calibration_of(table: pd.DataFrame, temperature: float | None) -> Calibration:
    """The calibration of one model's map table, before and after its temperature."""
    pixels = (LEVELS, level_sums(table, "polyp_levels"), level_sums(table, "rest_levels"))
    found, false = (
        # Parquet gives lists that are all empty the type of objects.
        np.concatenate([*table[name], []]).astype(np.float64)
        for name in ("found", "false")
    )
    scores = np.concatenate([found, false])
    is_found = np.arange(len(scores)) < len(found)
    polyps = (scores, is_found.astype(np.float64), (~is_found).astype(np.float64))
    figures = {"temperature": np.nan if temperature is None else temperature, "n": len(table)}
    for end, (values, right, wrong) in {"": pixels, "_polyp": polyps}.items():
        before = _figures(end, values, right, wrong)
        if temperature is None:
            after = dict.fromkeys(before, np.nan)
        else:
            after = _figures(end, tempered(values, temperature), right, wrong)
        figures |= before | {f"{name}_t": value for name, value in after.items()}
    return Calibration(
        figures=figures, by_pixel=reliability(*pixels), by_polyp=reliability(*polyps)
    )


def risk_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """For each of ``RISKS`` the threshold, and what it misses in sequences that it was not from.

    Args:
        table: One model's map table.
    """
    losses = missed_shares(np.stack(table["polyp_levels"].tolist()), clusters_of(table))
    # By level, the pixels at it or above: those that a threshold just below it takes for the class.
    hits, false = (
        np.cumsum(level_sums(table, name)[::-1])[::-1] for name in ("polyp_levels", "rest_levels")
    )
    rows = []
    for risk in RISKS:
        place = conformal_place(losses, risk)
        row = {"risk": risk, "sequences": len(losses), "threshold": np.nan, "precision": np.nan}
        if place is not None:
            row["threshold"] = threshold_at(place)
            row["precision"] = hits[place + 1] / max(hits[place + 1] + false[place + 1], 1)
        left_out = left_out_losses(losses, risk)
        rows.append({**row, "missed": left_out.mean() if len(left_out) else np.nan})
    return rows


def threshold_at(place: int) -> float:
    """The threshold between two levels, the lower of which is ``place``."""
    return (place + 0.5) / (len(LEVELS) - 1)


def level_sums(table: pd.DataFrame, column: str) -> Floats:
    """The pixels of all frames by level, (256,)."""
    return np.asarray(np.sum(table[column].tolist(), axis=0), dtype=np.float64)


def _figures(end: str, values: Floats, right: Floats, wrong: Floats) -> dict[str, float]:
    return {
        f"ece{end}": calibration_error(reliability(values, right, wrong)),
        f"brier{end}": brier(values, right, wrong),
    }
