"""How long packaging, checking and scoring take, each beside a reference in the same run.

``extra_info`` holds the ratio, and the bytes where files are compared.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

from submissions.encoding import encode_mask
from submissions.ledger import Ledger
from submissions.package import PackageWriter
from submissions.rounds import Round
from submissions.scoring import score_package
from submissions.truth import find_truth
from submissions.validate import inspect_package

HEIGHT, WIDTH, FRAMES = 1080, 1350, 24
S = 1e-15


def drawn(seed: int) -> np.ndarray:
    """A polyp as a rough ellipse, bool (HEIGHT, WIDTH)."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radii = 1 + 0.12 * np.cumsum(rng.normal(0, 0.2, 90)) / 3
    centre = rng.uniform((400, 350), (900, 700))
    axes = rng.uniform((90, 70), (320, 260))
    points = centre + axes * radii[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 1)
    return mask > 0


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """The fastest of a few runs."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)


def fastest(benchmark) -> float:
    """Seconds of the fastest round; NaN where benchmarks are off and the work is only tried."""
    return benchmark.stats.stats.min if benchmark.stats else float("nan")


@pytest.fixture(scope="module")
def masks() -> list[np.ndarray]:
    return [drawn(seed) for seed in range(FRAMES)]


@pytest.fixture(scope="module")
def package(tmp_path_factory, masks) -> Path:
    path = tmp_path_factory.mktemp("package") / "p.zip"
    with PackageWriter(path) as writer:
        for number, mask in enumerate(masks):
            writer.add(test_set="EndoCV_DATA1", name=f"f{number}", mask=mask, latency_ms=9.0)
    return path


@pytest.fixture(scope="module")
def truth(tmp_path_factory, masks) -> Path:
    folder = tmp_path_factory.mktemp("truth") / "EndoCV_DATA1"
    folder.mkdir()
    for number, mask in enumerate(masks):
        moved = np.roll(mask, (11, 17), (0, 1)) * np.uint8(255)
        cv2.imwrite(str(folder / f"f{number}_mask.tif"), moved)
    return folder.parent


def organisers_frame(truth: np.ndarray, prediction: np.ndarray) -> list[float]:
    """One frame's figures along the organisers' path: lists through a confusion matrix."""
    _, fp, fn, tp = confusion_matrix(
        truth.ravel().tolist(), prediction.ravel().tolist(), labels=[0, 1]
    ).ravel()
    ppv, recall = (tp + S) / (tp + fp + S), (tp + S) / (tp + fn + S)
    return [
        (2 * tp + S) / (2 * tp + fp + fn + S),
        5 * ppv * recall / (4 * ppv + recall + S),
        ppv,
        recall,
    ]


def test_scoring_a_package(benchmark, package, truth) -> None:
    """Everything from opening the zip to the figures, against one frame of the organisers'."""
    found = find_truth(truth)
    benchmark.pedantic(lambda: score_package(package, found), rounds=5, warmup_rounds=1)
    with zipfile.ZipFile(package) as archive:
        member = "EndoCV2021/segmentation/EndoCV_DATA1_pred/f0_mask.jpg"
        data = np.frombuffer(archive.read(member), np.uint8)
    path = str(truth / "EndoCV_DATA1" / "f0_mask.tif")

    def reference() -> list[float]:
        mask_truth = (cv2.imread(path, cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8)
        mask = (cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8)
        return organisers_frame(mask_truth, mask)

    table = score_package(package, found).frames
    row = table.query("frame == 'EndoCV_DATA1/f0' and `class` == 'polyp'").iloc[0]
    f1 = (2 * row["tp"] + S) / (2 * row["tp"] + row["fp"] + row["fn"] + S)
    assert f1 == pytest.approx(reference()[0], abs=1e-12)
    theirs = seconds(reference)
    ours = fastest(benchmark) / FRAMES
    benchmark.extra_info |= {
        "organisers_ms_a_frame": theirs * 1e3,
        "ours_ms_a_frame": ours * 1e3,
        "times_faster": theirs / ours,
    }


def test_scoring_without_hausdorff_against_reading_the_files(benchmark, package, truth) -> None:
    found = find_truth(truth)
    work = benchmark.pedantic
    work(lambda: score_package(package, found, hausdorff=False), rounds=5, warmup_rounds=1)
    paths = sorted((truth / "EndoCV_DATA1").iterdir())

    def reading() -> None:
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if name.endswith(".jpg"):
                    data = np.frombuffer(archive.read(name), np.uint8)
                    cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        for path in paths:
            cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)

    benchmark.extra_info["of_reading_one_by_one"] = fastest(benchmark) / seconds(reading, 5)


def test_checking_a_package(benchmark, package) -> None:
    sizes = {"EndoCV_DATA1": {f"f{number}": (HEIGHT, WIDTH) for number in range(FRAMES)}}
    inspection = benchmark(inspect_package, package, sizes)
    assert inspection.findings == ()
    benchmark.extra_info["ms_a_frame"] = fastest(benchmark) / FRAMES * 1e3


def by_opencv(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".tif", pixels)[1].tobytes()


def by_pillow(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF", compression="tiff_adobe_deflate")
    return stream.getvalue()


@pytest.mark.parametrize("reference", [by_opencv, by_pillow])
def test_encoding_a_mask(benchmark, masks, reference) -> None:
    """With the proof that it reads back; the references prove nothing."""
    encoded = benchmark(lambda: [encode_mask(mask).data for mask in masks[:6]])
    pixels = [mask * np.uint8(255) for mask in masks[:6]]
    theirs = [reference(image) for image in pixels]
    took = seconds(lambda: [reference(image) for image in pixels], 3)
    benchmark.extra_info |= {
        "ms_a_mask": fastest(benchmark) / 6 * 1e3,
        "reference_ms_a_mask": took / 6 * 1e3,
        "bytes_a_mask": sum(map(len, encoded)) / 6,
        "reference_bytes_a_mask": sum(map(len, theirs)) / 6,
    }


def test_entering_a_submission(benchmark, tmp_path) -> None:
    """The transaction with its rename, from sealed package to entry."""
    ledger, round_ = Ledger(tmp_path / "register.sqlite"), Round(name="b", daily_limit=10**6)
    numbers = iter(range(10**6))
    stack = ExitStack()

    def sealed():
        writer = stack.enter_context(PackageWriter(tmp_path / f"{next(numbers)}.zip"))
        mask = np.eye(9, dtype=bool)
        writer.add(test_set="EndoCV_DATA1", name="f", mask=mask, latency_ms=1.0)
        return (round_, writer.seal()), {"model": "unet"}

    with stack:
        benchmark.pedantic(ledger.enter, setup=sealed, rounds=10)
    assert len(ledger.submissions()) > 0
