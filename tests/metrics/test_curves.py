"""Curves over thresholds, against scikit-learn and MONAI."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from metrics.curves import (
    RATES,
    RESAMPLES,
    average_precision,
    froc,
    level_counts,
    sensitivity_at,
    threshold_curves,
)
from metrics.endocv import add_figures
from metrics.frame.candidates import candidates
from metrics.frame.pixel_counts import count, frame_rows
from metrics.statistics.bootstrap import resample
from metrics.statistics.bootstrap_intervals import intervals
from metrics.statistics.samples import from_values

RNG = np.random.default_rng(3)
TRUTH = RNG.random((12, 20, 24)) < np.linspace(0, 0.4, 12)[:, None, None]
MAPS = np.clip(RNG.normal(0.35 + 0.3 * TRUTH, 0.2), 0, 1)
MAPS[3] = 0


def curves(clusters: np.ndarray) -> pd.DataFrame:
    pairs = [level_counts(*pair) for pair in zip(MAPS, TRUTH, strict=True)]
    polyp, rest = (np.stack(one) for one in zip(*pairs, strict=True))
    return threshold_curves(polyp, rest, clusters).set_index("threshold")


def test_precision_and_recall_are_those_of_scikit_learn() -> None:
    table = curves(np.arange(12))
    levels = np.rint(MAPS * 255)
    precision, recall, thresholds = precision_recall_curve(TRUTH.ravel(), levels.ravel())
    above = np.ceil(table.index.to_numpy() * 255)
    places = np.searchsorted(thresholds, above)
    within = places < len(thresholds)
    assert within.sum() > 200
    assert table["precision"][within].to_numpy() == pytest.approx(precision[places[within]])
    assert table["recall"][within].to_numpy() == pytest.approx(recall[places[within]])


def test_dice_at_one_half_is_the_f1_of_the_tables() -> None:
    rows = [frame_rows(count(t, m > 0.5), frame=str(n))[0]
            for n, (t, m) in enumerate(zip(TRUTH, MAPS, strict=True))]  # fmt: skip
    expected = add_figures(pd.DataFrame(rows))["f1"].mean()
    assert curves(np.arange(12)).loc[0.5, "dice"] == pytest.approx(expected, abs=1e-12)


def test_the_band_of_dice_is_the_interval_of_f1() -> None:
    clusters = np.arange(12) // 3
    rows = [frame_rows(count(t, m > 0.5), frame=str(n))[0]
            for n, (t, m) in enumerate(zip(TRUTH, MAPS, strict=True))]  # fmt: skip
    f1 = from_values({"a": add_figures(pd.DataFrame(rows))["f1"]}, clusters=clusters)
    expected = intervals(resample(f1, resamples=RESAMPLES), method="percentile")
    band = curves(clusters).loc[0.5, ["dice_low", "dice_high"]]
    assert band.tolist() == pytest.approx(expected[["low", "high"]].iloc[0].tolist(), abs=1e-12)


def test_bands_hold_the_curve_and_widen_with_fewer_sequences() -> None:
    single, paired = curves(np.arange(12)), curves(np.arange(12) // 4)
    for table in (single, paired):
        inner = table.loc[0.2:0.8]
        for name in ("dice", "precision", "recall"):
            assert (inner[f"{name}_low"] <= inner[name]).all()
            assert (inner[name] <= inner[f"{name}_high"]).all()
    width = [(one["dice_high"] - one["dice_low"]).loc[0.5] for one in (single, paired)]
    assert width[0] != width[1]


def test_what_a_single_sequence_has_gets_no_band() -> None:
    table = curves(np.zeros(12, np.int64))
    assert table[["dice", "precision", "recall"]].loc[0.5].notna().all()
    assert table.filter(regex="_(low|high)").isna().all(axis=None)
    polyp, rest = level_counts(np.array([0.9, 0.2, 0.3, 0.4]), np.array([True] + [False] * 3))
    nothing = np.zeros_like(polyp)
    alone = threshold_curves(
        np.stack([polyp, nothing]), np.stack([rest, rest]), np.arange(2)
    ).set_index("threshold")
    half = alone.loc[0.5]  # where the first sequence alone predicts anything
    assert half[["dice_low", "precision", "recall"]].tolist() == [1, 1, 1]
    assert half[["precision_low", "recall_low"]].isna().all()
    assert alone["precision_low"].iloc[50] == 0  # a false pixel in both


def test_froc_is_that_of_monai() -> None:
    from monai.metrics import compute_froc_curve_data

    found = [[0.9, 0.4], [], [0.7]]
    false = [[0.3, 0.8], [0.6], []]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        false_rate, sensitivity = compute_froc_curve_data(
            np.concatenate(false), np.concatenate(found), num_targets=4, num_images=3
        )
    ours = froc(found, false, [2, 0, 2])
    # MONAI has no point of the lowest score, and ends with none asked for at all.
    points = ours[["false_a_frame", "sensitivity"]].to_numpy()[:-1]
    theirs = np.stack([false_rate, sensitivity], axis=1)
    assert theirs[::-1][1:] == pytest.approx(points)
    assert sensitivity_at(ours, 0.4) == 0.5
    assert sensitivity_at(ours, 0.0) == 0.25


def test_average_precision_is_that_of_scikit_learn_with_misses_last() -> None:
    found, false = [[0.9, 0.4], [0.7]], [[0.3, 0.8], [0.6]]
    truth = [1, 1, 1, 0, 0, 0]
    scores = [0.9, 0.4, 0.7, 0.3, 0.8, 0.6]
    expected = average_precision_score(truth, scores)
    assert average_precision(froc(found, false, [2, 1])) == pytest.approx(expected)
    # A polyp without a candidate takes its share of the recall and adds nothing.
    assert average_precision(froc(found, false, [3, 1])) == pytest.approx(expected * 3 / 4)
    assert average_precision(froc([[]], [[]], [2])) == 0
    assert np.isnan(average_precision(froc([[]], [[0.5]], [0])))


def test_without_polyps_there_is_no_sensitivity_at_any_rate() -> None:
    curve = froc([[], []], [[0.5], []], [0, 0])
    assert np.isnan([average_precision(curve), *(sensitivity_at(curve, r) for r in RATES)]).all()


def test_without_polyps_and_candidates_nothing_was_missed() -> None:
    silent = froc([[], []], [[], []], [0, 0])
    assert np.isnan([average_precision(silent), sensitivity_at(silent, 1.0)]).all()
    missed = froc([[], []], [[], []], [1, 0])
    assert average_precision(missed) == sensitivity_at(missed, 1.0) == 0


def test_equal_scores_are_one_point() -> None:
    assert len(froc([[0.5]], [[0.5]], [1])) == 1


def test_the_best_candidate_of_a_polyp_finds_it() -> None:
    truth = np.zeros((10, 20), bool)
    truth[2:6, 2:8] = truth[2:6, 12:18] = True
    map_ = np.zeros((10, 20), np.float32)
    map_[2:6, 2:4] = 0.6  # two candidates on one polyp
    map_[2:6, 6:8] = 0.8
    map_[9, 0] = 0.3
    map_[5:, 17:] = 0.05  # too faint
    found = candidates(truth, map_)
    assert found.polyps == 2
    assert found.found == pytest.approx([0.8])
    assert found.false == pytest.approx([0.6, 0.3])
    assert candidates(np.zeros_like(truth), map_).found == []
    assert candidates(truth, np.zeros_like(map_)) == (2, [], [])
