"""What others do, timed beside ours in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import confusion_matrix

S = 1e-15
Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def seconds() -> Callable[..., float]:
    """Times some work: the shortest of a few repeats, in seconds."""

    def shortest(work: Callable[[], object], repeats: int = 1) -> float:
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    return shortest


@pytest.fixture(scope="session")
def organisers_frame() -> Callable[[Path | Bytes, Path | Bytes], dict[str, float]]:
    """One frame by the organisers' means, written anew from the description of their evaluator.

    Colour decoding, area interpolation to the truth's size, Python lists that are searched for
    their values again and again, scikit-learn's confusion matrix, sums for each figure, and the
    package that they have for the Hausdorff distance, given rows of pixels as points.
    """
    # Compiled by numba, which takes long to import where no benchmark runs.
    from hausdorff import hausdorff_distance

    def read(source: Path | Bytes) -> Bytes:
        if isinstance(source, Path):
            pixels = cv2.imread(str(source), cv2.IMREAD_COLOR)
        else:
            pixels = cv2.imdecode(source, cv2.IMREAD_COLOR)
        return (pixels > 0).astype(np.uint8)

    def measure(truth_file: Path | Bytes, prediction_file: Path | Bytes) -> dict[str, float]:
        truth, prediction = read(truth_file)[:, :, 0], read(prediction_file)
        size = truth.shape[::-1]
        prediction = cv2.resize(prediction, size, interpolation=cv2.INTER_AREA)[:, :, 0]
        lists = truth.flatten().tolist(), prediction.flatten().tolist()
        for which in (0, 0, 0, 1, 0, 0, 1):
            assert set(np.unique(lists[which]).tolist()) <= {0, 1}
        tn, fp, fn, tp = confusion_matrix(*lists, labels=[0, 1]).ravel()
        shared = (truth * prediction).sum()
        ppv = (shared + S) / (prediction.sum() + S)
        recall = (shared + S) / (truth.sum() + S)
        return {
            "f1": (2 * shared + S) / (truth.sum() + prediction.sum() + S),
            "iou": (shared + S) / (truth.sum() + prediction.sum() - shared + S),
            "f2": 5 * ppv * recall / (4 * ppv + recall + S),
            "ppv": ppv,
            "recall": recall,
            "accuracy": (tp + tn) / (tp + tn + fp + fn),
            "hausdorff_rows": hausdorff_distance(truth, prediction),
        }

    return measure


@pytest.fixture
def fastest(benchmark: Any) -> Callable[[], float]:
    """Seconds of the fastest round; NaN where benchmarks are off and the work is only tried."""
    return lambda: benchmark.stats.stats.min if benchmark.stats else float("nan")
