"""How long packaging, checking and scoring take, each beside a reference in the same run.

``extra_info`` holds the ratio, and the bytes where files are compared.
"""

from __future__ import annotations

import io
import zipfile
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from harness.utils.device import keep_memory
from metrics.endocv import add_figures
from submissions.ledger import Ledger
from submissions.reading.validate import inspect_package
from submissions.rounds import Round
from submissions.scoring import score_package
from submissions.writing.encoding import encode_mask
from submissions.writing.package import PackageWriter

HEIGHT, WIDTH, FRAMES = 1080, 1350, 96


@pytest.fixture(scope="module", autouse=True)
def memory_is_kept() -> None:
    """As the commands have it."""
    keep_memory()


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


@pytest.fixture(scope="module")
def masks() -> list[np.ndarray]:
    return [drawn(seed) for seed in range(FRAMES)]


@pytest.fixture(scope="module", params=["jpg", "jpeg"])
def package(request, tmp_path_factory, masks) -> Path:
    """Lossless as the project writes it, and lossy as most teams did."""
    path = tmp_path_factory.mktemp("package") / "p.zip"
    with PackageWriter(path, file_format=request.param) as writer:
        for number, mask in enumerate(masks):
            writer.add(test_set="EndoCV_DATA1", name=f"f{number}", mask=mask, latency_ms=9.0)
    return path


@pytest.fixture(scope="module", params=["jpg", "png"])
def truth(request, tmp_path_factory, masks) -> Path:
    """Truth masks, in each of the formats that datasets come in."""
    folder = tmp_path_factory.mktemp("truth") / "EndoCV_DATA1"
    folder.mkdir()
    for number, mask in enumerate(masks):
        moved = np.roll(mask, (11, 17), (0, 1)) * np.uint8(255)
        cv2.imwrite(str(folder / f"f{number}_mask.{request.param}"), moved)
    return folder.parent


def test_scoring_a_package(benchmark, fastest, seconds, organisers_frame, package, truth) -> None:
    """Everything from opening zip and truth to the figures, against the organisers' way."""
    benchmark.pedantic(lambda: score_package(package, truth), rounds=5, warmup_rounds=1)
    with zipfile.ZipFile(package) as archive:
        member = "EndoCV2021/segmentation/EndoCV_DATA1_pred/f0_mask.jpg"
        prediction = np.frombuffer(archive.read(member), np.uint8)
    (mask_truth,) = (truth / "EndoCV_DATA1").glob("f0_mask.*")
    theirs = organisers_frame(mask_truth, prediction)
    table = add_figures(score_package(package, truth).frames)
    row = table.query("frame == 'EndoCV_DATA1/f0' and `class` == 'polyp'").iloc[0]
    assert {name: row[name] for name in theirs} == pytest.approx(theirs, abs=1e-12)
    took = seconds(lambda: organisers_frame(mask_truth, prediction), 3)
    ours = fastest() / FRAMES
    benchmark.extra_info |= {
        "organisers_ms_a_frame": took * 1e3,
        "ours_ms_a_frame": ours * 1e3,
        "times_faster": took / ours,
    }


@pytest.mark.parametrize("hausdorff", [False, True], ids=["overlap", "and Hausdorff"])
def test_scoring_against_reading_the_files(
    benchmark, fastest, seconds, package, truth, hausdorff
) -> None:
    """The whole of it by the time that OpenCV takes to read all masks, one after another."""

    def reading() -> None:
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if name.endswith(".jpg"):
                    data = np.frombuffer(archive.read(name), np.uint8)
                    cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        for path in sorted((truth / "EndoCV_DATA1").iterdir()):
            cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)

    def work() -> None:
        score_package(package, truth, hausdorff=hausdorff)

    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    benchmark.extra_info["times_reading"] = fastest() / seconds(reading, 5)


def test_checking_a_package(benchmark, fastest, package) -> None:
    sizes = {"EndoCV_DATA1": {f"f{number}": (HEIGHT, WIDTH) for number in range(FRAMES)}}
    inspection = benchmark(inspect_package, package, sizes)
    assert inspection.findings == ()
    benchmark.extra_info["ms_a_frame"] = fastest() / FRAMES * 1e3


def by_opencv(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".tif", pixels)[1].tobytes()


def by_pillow(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF", compression="tiff_adobe_deflate")
    return stream.getvalue()


def plain(pixels: np.ndarray) -> bytes:
    return encode_mask(pixels > 0, "tif").data


def one_bit_png(pixels: np.ndarray) -> bytes:
    options = [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 9]
    return cv2.imencode(".png", pixels, options)[1].tobytes()


@pytest.mark.parametrize("reference", [by_opencv, by_pillow, plain, one_bit_png])
def test_encoding_a_mask(benchmark, fastest, seconds, masks, reference) -> None:
    """With the proof that it reads back; the references of others prove nothing."""
    encoded = benchmark(lambda: [encode_mask(mask).data for mask in masks[:6]])
    pixels = [mask * np.uint8(255) for mask in masks[:6]]
    theirs = [reference(image) for image in pixels]
    took = seconds(lambda: [reference(image) for image in pixels], 3)
    benchmark.extra_info |= {
        "ms_a_mask": fastest() / 6 * 1e3,
        "reference_ms_a_mask": took / 6 * 1e3,
        "bytes_a_mask": sum(map(len, encoded)) / 6,
        "reference_bytes_a_mask": sum(map(len, theirs)) / 6,
    }


def test_entering_a_submission(benchmark, tmp_path) -> None:
    """The transaction with its rename, from sealed package to entry."""
    ledger, round_ = Ledger(tmp_path), Round(name="b", daily_limit=10**6)
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
