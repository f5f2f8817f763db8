"""Speed of the figures against references that are timed in the same run.

The ratio of each benchmark stands in its extra_info; above 1, ours is faster, unless its name
says otherwise. The package as a whole is timed in bench_submissions.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix

from harness.utils.device import keep_memory
from metrics.endocv import organisers_json, summarise, with_all_classes
from metrics.frame.official_hausdorff import hausdorff_bits
from metrics.frame.pixel_counts import Counts, count, count_bits, frame_rows
from metrics.masks.png import decode_png
from metrics.masks.read import decode_bits
from metrics.statistics.bootstrap import resample
from metrics.statistics.bootstrap_intervals import intervals
from metrics.statistics.ranking import rank
from metrics.statistics.samples import collect

Mask = npt.NDArray[np.bool_]
Pair = tuple[Path, Path]
Seconds = Callable[..., float]

HEIGHT, WIDTH, PAIRS = 1080, 1350, 8


def shapes(number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A polyp, and a prediction that lies a little off and has a speck beside it."""
    truth, prediction = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    centre = (400 + 60 * number, 350 + 40 * number)
    cv2.ellipse(truth, centre, (220, 150 + 10 * number), 20 * number, 0, 360, 255, -1)
    off = (centre[0] + 25, centre[1] - 12)
    cv2.ellipse(prediction, off, (205, 165 + 8 * number), 22 * number, 0, 360, 255, -1)
    cv2.circle(prediction, (150, 150), 20 + number, 255, -1)
    return truth, prediction


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """Mask files as the challenge has them: JPEG at quality 95."""
    folder = tmp_path_factory.mktemp("pairs")
    files = []
    for number in range(PAIRS):
        names = folder / f"{number}_truth.jpg", folder / f"{number}_prediction.jpg"
        for name, mask in zip(names, shapes(number), strict=True):
            cv2.imwrite(str(name), mask, [cv2.IMWRITE_JPEG_QUALITY, 95])
        files.append(names)
    return files


@pytest.fixture(scope="module")
def masks() -> tuple[Mask, Mask]:
    truth, prediction = shapes(3)
    return truth > 0, prediction > 0


@pytest.fixture(scope="module")
def frame_table() -> pd.DataFrame:
    """Seven models on 2,756 frames."""
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([[f"m{m}" for m in range(7)], range(2756)])
    rows = pd.DataFrame({"model": index.get_level_values(0), "frame": index.get_level_values(1)})
    rows["frame"] = rows["frame"].astype(str)
    for name in ("tp", "fp", "fn", "tn"):
        rows[name] = rng.integers(0, 50_000, len(rows))
    polyp = rows.assign(**{"class": "polyp"})
    background = polyp.assign(
        **{"class": "background"}, tp=rows["tn"], fp=rows["fn"], fn=rows["fp"], tn=rows["tp"]
    )
    return pd.concat([polyp, background], ignore_index=True)


@pytest.fixture(scope="module", autouse=True)
def memory_is_kept() -> None:
    """As the commands have it."""
    keep_memory()


def our_frame(pair: Pair) -> tuple[dict[str, object], dict[str, object]]:
    truth, prediction = (decode_bits(path.read_bytes(), protocol="official") for path in pair)
    measured = {"hausdorff_rows": hausdorff_bits(truth, prediction)}
    return frame_rows(count_bits(truth, prediction), measured=measured, frame=pair[0].stem)


def read(pairs: list[Pair]) -> None:
    """What every evaluation must do: both files from disk to grey values."""
    for pair in pairs:
        for path in pair:
            cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


def test_a_frame_against_the_organisers_path(
    benchmark: Any,
    pairs: list[Pair],
    seconds: Seconds,
    organisers_frame: Callable[[Path, Path], dict[str, float]],
) -> None:
    def score() -> object:
        return organisers_json(pd.DataFrame([row for pair in pairs for row in our_frame(pair)]))

    reference = seconds(lambda: organisers_frame(*pairs[0]), 2) * len(pairs)
    benchmark(score)
    benchmark.extra_info["ratio"] = reference / benchmark.stats.stats.min


def test_overlap_figures_take_little_more_than_reading(
    benchmark: Any, pairs: list[Pair], seconds: Seconds
) -> None:
    """One frame after another on one core; ``bench_submissions`` has frames in parallel."""

    def overlap() -> list[Counts]:
        return [
            count_bits(*(decode_bits(path.read_bytes(), protocol="official") for path in p))
            for p in pairs
        ]

    benchmark(overlap)
    reading = seconds(lambda: read(pairs), 20)
    benchmark.extra_info["times_reading"] = benchmark.stats.stats.min / reading


def test_hausdorff_too_against_reading(benchmark: Any, pairs: list[Pair], seconds: Seconds) -> None:
    benchmark(lambda: [our_frame(pair) for pair in pairs])
    reading = seconds(lambda: read(pairs), 20)
    benchmark.extra_info["times_reading"] = benchmark.stats.stats.min / reading


@pytest.mark.parametrize("writer", ["opencv", "pillow"])
def test_reading_a_png_against_opencv(benchmark: Any, seconds: Seconds, writer: str) -> None:
    mask = shapes(3)[0]
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    data = stream.getvalue() if writer == "pillow" else cv2.imencode(".png", mask)[1].tobytes()

    def theirs() -> npt.NDArray[np.uint8]:
        buffer = np.frombuffer(data, np.uint8)
        return np.asarray(cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED), np.uint8)

    assert np.array_equal(benchmark(decode_png, data), theirs())
    benchmark.extra_info["ratio"] = seconds(theirs, 10) / benchmark.stats.stats.min


def test_counts_against_numpy_bincount(
    benchmark: Any, masks: tuple[Mask, Mask], seconds: Seconds
) -> None:
    truth, prediction = masks

    def bincount() -> Counts:
        tn, fp, fn, tp = np.bincount((2 * truth.astype(np.uint8) + prediction).ravel(), minlength=4)
        return Counts(tp=int(tp), fp=int(fp), fn=int(fn), tn=int(tn))

    assert benchmark(count, truth, prediction) == bincount()
    benchmark.extra_info["ratio"] = seconds(bincount, 10) / benchmark.stats.stats.min


def test_counts_against_scikit_learn(
    benchmark: Any, masks: tuple[Mask, Mask], seconds: Seconds
) -> None:
    truth, prediction = masks

    def matrix() -> tuple[int, ...]:
        return tuple(confusion_matrix(truth.ravel(), prediction.ravel()).ravel())

    tn, fp, fn, tp = matrix()
    assert benchmark(count, truth, prediction) == (tp, fp, fn, tn)
    benchmark.extra_info["ratio"] = seconds(matrix, 3) / benchmark.stats.stats.min


def test_counts_against_torchmetrics(
    benchmark: Any, masks: tuple[Mask, Mask], seconds: Seconds
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functional = pytest.importorskip("torchmetrics.functional.classification")
    truth, prediction = masks
    target, guess = torch.from_numpy(truth), torch.from_numpy(prediction)

    def scores() -> tuple[int, ...]:
        tp, fp, tn, fn, _ = functional.binary_stat_scores(guess.int(), target.int()).tolist()
        return tp, fp, fn, tn

    assert benchmark(count, truth, prediction) == scores()
    benchmark.extra_info["ratio"] = seconds(scores, 5) / benchmark.stats.stats.min


def test_summary_of_seven_models(benchmark: Any, frame_table: pd.DataFrame) -> None:
    benchmark(lambda: summarise(with_all_classes(frame_table), ("model", "class")))


def test_ten_thousand_resamples_of_seven_models(benchmark: Any, frame_table: pd.DataFrame) -> None:
    benchmark.pedantic(
        lambda: intervals(resample(collect(frame_table), resamples=10_000)), rounds=3
    )


def test_ranking_of_seven_models(benchmark: Any, frame_table: pd.DataFrame) -> None:
    benchmark.pedantic(lambda: rank(collect(frame_table), resamples=10_000), rounds=3)
