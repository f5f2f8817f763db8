"""The official protocol against the organisers' evaluator, written anew from its description."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import confusion_matrix

from submissions.layout import PackageLayout
from submissions.scoring import score_package

S = 1e-15
SET = "EndoCV_DATA1"
PRED = f"EndoCV2021/segmentation/{SET}_pred"
ENCODINGS = {
    "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 85]),
    "png": (".png", []),
    "tiff": (".tif", []),
    "bmp": (".bmp", []),
    "bilevel": (".png", [cv2.IMWRITE_PNG_BILEVEL, 1]),
}
SPOILT = ("shifted", "holed", "blurred", "empty", "full", "perfect", "shrunk", "enlarged")


def evaluate(truth_folder: Path, prediction_folder: Path) -> dict[str, float]:
    """The evaluator's file: OpenCV above 0, area interpolation, Python lists, population SDs."""
    per_frame: dict[str, list[float]] = {}
    for file in sorted(prediction_folder.glob("*.jpg")):
        truth = (cv2.imread(str(truth_folder / file.name)) > 0).astype(np.uint8)[:, :, 0]
        prediction = (cv2.imread(str(file)) > 0).astype(np.uint8)
        size = truth.shape[1], truth.shape[0]
        prediction = cv2.resize(prediction, size, interpolation=cv2.INTER_AREA)[:, :, 0]
        lists = truth.flatten().tolist(), prediction.flatten().tolist()
        tn, fp, fn, tp = (float(n) for n in confusion_matrix(*lists, labels=[0, 1]).ravel())
        ppv, recall = (tp + S) / (tp + fp + S), (tp + S) / (tp + fn + S)
        # The rows of both masks as points: squares of their distances are numbers of pixels.
        apart = cdist(truth.astype(float), prediction.astype(float), "sqeuclidean")
        figures = {
            "dice": (2 * tp + S) / (2 * tp + fp + fn + S),
            "jaccard": (tp + S) / (tp + fp + fn + S),
            "typeIIerror": 5 * ppv * recall / (4 * ppv + recall + S),
            "PPV": ppv,
            "recall": recall,
            "OverallAcc": (tp + tn) / (tp + tn + fp + fn),
            "hausdorff_distance_nonNorm": math.sqrt(max(apart.min(0).max(), apart.min(1).max())),
        }
        for key, value in figures.items():
            per_frame.setdefault(key, []).append(value)
    plain = np.array(per_frame["hausdorff_distance_nonNorm"])
    per_frame["hausdorff_distance"] = list(plain / plain.max())
    deviations = {
        "dice_std": "dice", "jc_std": "jaccard", "f2_std": "typeIIerror", "ppv_std": "PPV",
        "r_std": "recall", "acc_std": "OverallAcc", "hdf_std": "hausdorff_distance",
        "hdf_std_noNorm": "hausdorff_distance_nonNorm",
    }  # fmt: skip
    means = {key: sum(values) / len(values) for key, values in per_frame.items()}
    return means | {key: float(np.std(per_frame[name])) for key, name in deviations.items()}


def spoilt(truth: np.ndarray, how: str, number: int) -> np.ndarray:
    """A prediction that is wrong in one way; truth and prediction are 0 and 255."""
    height, width = truth.shape
    if how == "shifted":
        return np.roll(truth, (3 + number % 13, -2 * number - 1), (0, 1))
    if how == "holed":
        return np.where(np.indices(truth.shape).sum(0) % 17 < 3, 0, truth).astype(np.uint8)
    if how == "blurred":
        return np.where(cv2.GaussianBlur(truth, (0, 0), 5) > 90, 255, 0).astype(np.uint8)
    if how in ("empty", "full"):
        return np.full_like(truth, 255 * (how == "full"))
    sizes = {"shrunk": (width // 2 + 3, height // 3), "enlarged": (width + 37, height + 11)}
    if how in sizes:
        return cv2.resize(truth, sizes[how], interpolation=cv2.INTER_NEAREST)
    return truth


def write(folder: Path, masks: Iterator[bytes | np.ndarray]) -> tuple[Path, Path, Path]:
    """The same pairs as a package with its truth, and as the folders of the evaluator."""
    truth_folder, predictions = folder / "truth" / SET, folder / "predictions"
    truth_folder.mkdir(parents=True)
    predictions.mkdir()
    names = []
    for number, given in enumerate(masks):
        name = f"Endocv2021_{number}"
        names.append(name)
        how, encoding = SPOILT[number % len(SPOILT)], [*ENCODINGS][number % len(ENCODINGS)]
        encoded = given
        if isinstance(given, np.ndarray):
            encoded = cv2.imencode(".jpg", given, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        (truth_folder / f"{name}_mask.jpg").write_bytes(encoded)
        grey = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
        mask = np.where(grey > 127, 255, 0).astype(np.uint8)
        data = cv2.imencode(ENCODINGS[encoding][0], spoilt(mask, how, number),
                            ENCODINGS[encoding][1])[1]  # fmt: skip
        (predictions / f"{name}_mask.jpg").write_bytes(data.tobytes())
    package = folder / "package.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for file in predictions.iterdir():
            archive.write(file, f"{PRED}/{file.name}")
        lines = [*(f"{name} -----> 5.0" for name in names), "average_t -----> 5.0"]
        archive.writestr(PackageLayout().timing(SET), "\n".join(lines))
    return package, truth_folder, predictions


def assert_the_same(folder: Path, masks: Iterator[bytes | np.ndarray]) -> None:
    package, truth_folder, predictions = write(folder, masks)
    expected = evaluate(truth_folder, predictions)
    score = score_package(package, truth_folder.parent)
    ours = json.loads(json.dumps(score.organisers[SET]))["EndoCV2021_seg"]
    assert set(ours) == set(expected)
    for key, value in expected.items():
        assert ours[key]["value"] == pytest.approx(value, abs=1e-12), key
    assert len(score.frames) == 2 * len(list(predictions.iterdir()))


def drawn() -> Iterator[np.ndarray]:
    """Ellipses of unlike sizes, an empty truth and a full one."""
    for number in range(40):
        mask = np.zeros((61 + number, 90), np.uint8)
        if number == 18:
            mask[:] = 255
        elif number != 9:
            cv2.ellipse(mask, (40 + number % 7, 30), (8 + number % 20, 12), number, 0, 360, 255, -1)
        yield mask


def test_drawn_pairs_of_every_kind(tmp_path: Path) -> None:
    assert_the_same(tmp_path, drawn())


@pytest.mark.realframes
def test_sixty_real_pairs_of_every_kind(tmp_path: Path) -> None:
    folder = os.environ.get("HARNESS_ENDOCV")
    if not folder:
        pytest.skip("HARNESS_ENDOCV does not name a folder of real frames")
    found = sorted(Path(folder).glob("data_C*/masks_C*/*.jpg"))
    chosen = found[:: max(1, len(found) // 60)][:60]
    assert_the_same(tmp_path, (path.read_bytes() for path in chosen))
