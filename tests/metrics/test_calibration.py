"""Calibration error, Brier score, temperature, against scikit-learn, MONAI and what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from metrics.calibration import (
    LEVELS,
    brier,
    calibration_error,
    fit_temperature,
    reliability,
    tempered,
)
from metrics.curves import level_counts

RNG = np.random.default_rng(4)


def drawn(temperature: float, size: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are this many times too large, and what came true."""
    logits = RNG.normal(-0.5, 1.0, size)
    truth = RNG.random(size) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-logits * temperature)), truth


def test_reliability_and_brier_are_those_of_scikit_learn() -> None:
    said, truth = drawn(1.7, 5000)
    levels = np.rint(said * 255) / 255
    polyp, rest = level_counts(said, truth)
    ours = reliability(LEVELS, polyp, rest, bins=16)  # whose edges are no levels
    frequency, confidence = calibration_curve(truth, levels, n_bins=16)
    assert ours["frequency"].to_numpy() == pytest.approx(frequency)
    assert ours["confidence"].to_numpy() == pytest.approx(confidence)
    assert ours["n"].sum() == 5000
    assert brier(LEVELS, polyp, rest) == pytest.approx(brier_score_loss(truth, levels))
    # The 256 levels lose next to nothing of the probabilities.
    assert brier(LEVELS, polyp, rest) == pytest.approx(brier_score_loss(truth, said), abs=1e-5)


def test_the_calibration_error_is_that_of_monai() -> None:
    torch = pytest.importorskip("torch")
    from monai.metrics import CalibrationErrorMetric

    said, truth = drawn(1.7, 4000)
    polyp, rest = level_counts(said, truth)
    levels = torch.tensor(np.rint(said * 255) / 255)[None, None]
    metric = CalibrationErrorMetric(num_bins=14, right=False)  # whose edges are no levels
    metric(levels, torch.tensor(truth)[None, None].double())
    ours = calibration_error(reliability(LEVELS, polyp, rest, bins=14))
    assert ours == pytest.approx(float(metric.aggregate()), abs=1e-6)
    assert len(reliability(LEVELS[[0, 17, 18]], np.ones(3), np.ones(3))) == 2  # 17 / 255 is 1 / 15


@pytest.mark.parametrize("truth", ["none", "all", "some"])
@pytest.mark.parametrize("map_", ["black", "white", "faint", "noisy", "one pixel"])
def test_odd_maps_have_the_figures_of_scikit_learn_and_monai(map_: str, truth: str) -> None:
    torch = pytest.importorskip("torch")
    from monai.metrics import CalibrationErrorMetric

    polyps = {"none": np.zeros(600, bool), "all": np.ones(600, bool), "some": np.arange(600) < 90}
    said = {
        "black": np.zeros(600),
        "white": np.ones(600),
        "faint": RNG.random(600) * 0.02,
        "noisy": RNG.random(600),
        "one pixel": np.eye(1, 600, 5)[0],
    }[map_]
    levels = np.rint(said * 255) / 255
    polyp, rest = level_counts(said, polyps[truth])
    expected = brier_score_loss(polyps[truth], levels, labels=[False, True])
    assert brier(LEVELS, polyp, rest) == pytest.approx(expected)
    metric = CalibrationErrorMetric(num_bins=14, right=False)
    metric(torch.tensor(levels)[None, None], torch.tensor(polyps[truth])[None, None].double())
    ours = calibration_error(reliability(LEVELS, polyp, rest, bins=14))
    assert ours == pytest.approx(float(metric.aggregate()), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_drawn_is_found(temperature: float) -> None:
    said, truth = drawn(temperature)
    polyp, rest = level_counts(said, truth)
    found = fit_temperature(polyp, rest)
    assert found == pytest.approx(temperature, rel=0.05)
    before = calibration_error(reliability(LEVELS, polyp, rest))
    after = calibration_error(reliability(tempered(LEVELS, found), polyp, rest))
    assert after < 0.01
    assert after <= before + 1e-3


def test_nothing_has_no_calibration() -> None:
    nothing = np.zeros(0)
    assert np.isnan(calibration_error(reliability(nothing, nothing, nothing)))
    assert np.isnan(brier(nothing, nothing, nothing))
