"""Real masks, from the folders that HARNESS_ENDOCV names."""

from __future__ import annotations

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from metrics.endocv import organisers_json
from metrics.frame.official_hausdorff import hausdorff_rows
from metrics.frame.pixel_counts import count, frame_rows
from metrics.masks.read import fit_prediction, read_mask

pytestmark = pytest.mark.realframes

FRAMES = 60


@pytest.fixture(scope="module")
def real_masks() -> list[Path]:
    folder = os.environ.get("HARNESS_ENDOCV")
    if not folder:
        pytest.skip("HARNESS_ENDOCV does not name a folder of real frames")
    found = sorted(Path(folder).glob("data_C*/masks_C*/*.jpg"))
    return found[:: max(1, len(found) // FRAMES)][:FRAMES]


def spoilt(truth: np.ndarray, number: int) -> np.ndarray:
    """A prediction of one of six kinds: shifted, holed, blurred, empty, full, another size."""
    if number % 6 == 0:
        return np.roll(truth, (number, -2 * number), (0, 1))
    if number % 6 == 1:
        return np.where(np.indices(truth.shape).sum(0) % 17 < 3, 0, truth).astype(np.uint8)
    if number % 6 == 2:
        return (cv2.GaussianBlur(truth, (0, 0), 9) > 90).astype(np.uint8) * 255
    if number % 6 == 5:
        return cv2.resize(truth, (truth.shape[1] // 2 + 3, truth.shape[0] // 3))
    return np.full_like(truth, 255 * (number % 6 == 4))


def of_the_evaluator(truth_path: Path, prediction_path: Path) -> dict[str, float]:
    """One frame as protocol and formulas have it, by scikit-learn, OpenCV and plain NumPy."""
    truth = cv2.imread(str(truth_path), cv2.IMREAD_COLOR)[:, :, 0] > 0
    prediction = (cv2.imread(str(prediction_path), cv2.IMREAD_COLOR) > 0).astype(np.uint8)
    size = truth.shape[1], truth.shape[0]
    prediction = cv2.resize(prediction, size, interpolation=cv2.INTER_AREA)[:, :, 0] > 0
    tn, fp, fn, tp = (
        float(number)
        for number in confusion_matrix(
            truth.ravel(), prediction.ravel(), labels=[False, True]
        ).ravel()
    )
    s = 1e-15
    ppv, recall = (tp + s) / (tp + fp + s), (tp + s) / (tp + fn + s)
    a, b = truth.astype(np.float32), prediction.astype(np.float32)
    apart = a.sum(1)[:, None] + b.sum(1)[None, :] - 2 * (a @ b.T)
    return {
        "dice": (2 * tp + s) / (2 * tp + fp + fn + s),
        "jaccard": (tp + s) / (tp + fp + fn + s),
        "typeIIerror": 5 * ppv * recall / (4 * ppv + recall + s),
        "PPV": ppv,
        "recall": recall,
        "OverallAcc": (tp + tn) / truth.size,
        "hausdorff_distance_nonNorm": math.sqrt(max(apart.min(0).max(), apart.min(1).max())),
    }


@pytest.mark.parametrize(("suffix", "quality"), [(".png", []), (".jpg", [1, 85]), (".tif", [])])
def test_official_figures_against_an_independent_path(real_masks, tmp_path, suffix, quality):
    rows, theirs = [], []
    for number, path in enumerate(real_masks):
        prediction = tmp_path / f"{number}{suffix}"
        cv2.imwrite(str(prediction), spoilt(cv2.imread(str(path), 0), number), quality)
        theirs.append(of_the_evaluator(path, prediction))
        truth = read_mask(path, protocol="official")
        mask = fit_prediction(
            read_mask(prediction, protocol="official"), truth.shape, protocol="official"
        )
        measured = {"hausdorff_rows": hausdorff_rows(truth, mask)}
        rows += frame_rows(count(truth, mask), measured=measured, frame=str(number))
    ours = organisers_json(pd.DataFrame(rows))["EndoCV2021_seg"]
    frames = pd.DataFrame(theirs)
    deviations = {
        "dice_std": "dice", "jc_std": "jaccard", "f2_std": "typeIIerror", "ppv_std": "PPV",
        "r_std": "recall", "acc_std": "OverallAcc", "hdf_std_noNorm": "hausdorff_distance_nonNorm",
    }  # fmt: skip
    plain = frames["hausdorff_distance_nonNorm"].to_numpy()
    expected = frames.mean().to_dict() | {
        key: float(np.std(frames[name].to_numpy())) for key, name in deviations.items()
    }
    expected["hausdorff_distance"] = plain.mean() / plain.max()
    expected["hdf_std"] = float(np.std(plain / plain.max()))
    assert set(expected) == set(ours)
    for key, value in expected.items():
        assert ours[key]["value"] == pytest.approx(value, abs=1e-12), key
