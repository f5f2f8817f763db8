"""Whether probabilities are frequencies: reliability, calibration error, Brier score, temperature.

Everything takes probabilities with how often each was right and wrong, so that the pixels of a
data set are two histograms of 256 levels, and a polyp's candidates one entry each.

Expected calibration error: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), with
15 bins of equal width, on the probability of polyp. Temperature: ibid., one number that the
logit is divided by. Brier score: Brier, Verification of forecasts (1950), of polyp alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from metrics.utils.groups import Floats

BINS: Final = 15
LEVELS: Final = np.arange(256) / 255
"""The probabilities of the 256 levels, see ``metrics.curves.level_counts``."""

_SMALLEST: Final = 0.5 / 255
_LOG_RANGE: Final = (-3.0, 3.0)


def reliability(
    probabilities: Floats, right: Floats, wrong: Floats, bins: int = BINS
) -> pd.DataFrame:
    """How often it is polyp, by the probability that was said.

    Args:
        probabilities: (K,).
        right: (K,), how often it was polyp.
        wrong: (K,), how often it was not.
        bins: Of equal width, from 0 to 1; an edge belongs to the bin below it.

    Returns:
        A row a bin that holds anything: ``confidence``, the mean probability; ``frequency``, the
        share of polyp; ``n``.

    Example:
        >>> reliability(np.array([0.2, 0.9]), np.array([1.0, 3.0]), np.array([3.0, 1.0]))
           confidence  frequency    n
        0         0.2       0.25  4.0
        1         0.9       0.75  4.0
    """
    place = np.searchsorted(np.arange(1, bins) / bins, probabilities)
    total = right + wrong
    n, hits, said = (
        np.bincount(place, weights=one, minlength=bins)
        for one in (total, right, total * probabilities)
    )
    known = n > 0
    return pd.DataFrame(
        {"confidence": said[known] / n[known], "frequency": hits[known] / n[known], "n": n[known]}
    )


def calibration_error(bins: pd.DataFrame) -> float:
    """Expected calibration error: the mean of |frequency - confidence| over :func:`reliability`.

    Example:
        >>> bins = reliability(np.array([0.2, 0.9]), np.array([1.0, 3.0]), np.array([3.0, 1.0]))
        >>> round(calibration_error(bins), 3)
        0.1
    """
    if bins.empty:
        return float("nan")
    away = (bins["frequency"] - bins["confidence"]).abs()
    return float(np.average(away, weights=bins["n"]))


def brier(probabilities: Floats, right: Floats, wrong: Floats) -> float:
    """Brier score: the mean squared distance of the probability from 1 (polyp) or 0.

    Example:
        >>> brier(np.array([0.5]), np.array([1.0]), np.array([1.0]))
        0.25
    """
    total = float((right + wrong).sum())
    squares = right @ (1 - probabilities) ** 2 + wrong @ probabilities**2
    return float(squares) / total if total else float("nan")


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities whose logits are divided by a temperature; 0, 1/2 and 1 stay.

    Example:
        >>> tempered(np.array([0.0, 0.5, 0.8]), 2.0).round(3).tolist()
        [0.0, 0.5, 0.667]
    """
    one, other = probabilities ** (1 / temperature), (1 - probabilities) ** (1 / temperature)
    return np.asarray(one / (one + other))


def fit_temperature(right: Floats, wrong: Floats) -> float:
    """The temperature with the largest likelihood of the polyp pixels and others by level, (256,).

    Example:
        >>> right, wrong = np.zeros(256), np.zeros(256)
        >>> right[230], wrong[230], right[25], wrong[25] = 80, 20, 20, 80  # said: 0.9 and 0.1
        >>> round(fit_temperature(right, wrong), 2)
        1.6
    """
    inside = np.clip(LEVELS, _SMALLEST, 1 - _SMALLEST)
    logits = np.log(inside / (1 - inside))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(right @ np.logaddexp(0, -scaled) + wrong @ np.logaddexp(0, scaled))

    found = minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
