"""DivergentNets with the paper's encoder, from files of 1920 x 1080 to files of masks.

Nothing here fails for being slow.
"""

from __future__ import annotations

import functools
import shutil
import time
from pathlib import Path
from typing import Any, Final

import cv2
import pytest
import torch

import models
from harness.data.catalogue import catalogue, of_split
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.inference.sources import Sources
from harness.inference.write_masks import predict_images
from tests.gpu.conftest import Datasets
from tests.gpu.networks import predicting
from tests.gpu.report import Report, asked
from tests.gpu.scale import SCALE

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("error:.*could not be recorded as a CUDA graph"),
]

FULL_HD: Final = (1920, 1080)
DISTINCT: Final = 16  # frames of 1920 x 1080; the others are copies of them
FRAME_MS: Final = 10.0
FRAMES_A_SECOND: Final = 400.0

NETWORK: Final = functools.cache(lambda: predicting("divergentnets", SCALE.encoder, SCALE.size))


@pytest.fixture(scope="module")
def full_hd(datasets: Datasets, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of 1920 x 1080, made of validation frames."""
    folder = tmp_path_factory.mktemp("full-hd")
    sources = of_split(catalogue(datasets.settings), "val")["image"][:DISTINCT]
    first = []
    for number, source in enumerate(sources):
        first.append(folder / f"{number:04d}.jpg")
        large = cv2.resize(cv2.imread(source), FULL_HD, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(first[-1]), large, [cv2.IMWRITE_JPEG_QUALITY, 95])
    files = [folder / f"{number:04d}.jpg" for number in range(SCALE.full_hd)]
    for number, file in enumerate(files[len(first) :], start=len(first)):
        shutil.copy(first[number % len(first)], file)
    return files


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_prediction(
    device: torch.device,
    figures: dict[str, Any],
    report: Report,
    full_hd: list[Path],
    tmp_path: Path,
    precision: str,
) -> None:
    """DivergentNets from the frames' files to the masks' files."""
    by_batch: dict[int, float] = {}
    if precision == "fp32":  # for comparison; its best batch is not looked for
        full_hd = full_hd[: len(full_hd) // 3]
    figures |= {
        "frames": len(full_hd),
        "members": list(models.get("divergentnets").members),
        "frames_per_second_by_batch": by_batch,
    }
    for batch_size in SCALE.batches if precision == "bf16" else SCALE.batches[::3]:
        if report.elapsed > SCALE.fast_s and by_batch:
            figures["stopped_early"] = True
            break
        how = Inference(device=device, precision=precision, batch_size=batch_size)
        predictor = Predictor(NETWORK(), size=SCALE.size, inference=how)
        predict_images(predictor, sources(full_hd[: 2 * batch_size]), tmp_path)
        if batch_size == 1:
            figures |= one_by_one(predictor, full_hd[:20], tmp_path)
        start = time.perf_counter()
        rows = predict_images(predictor, sources(full_hd), tmp_path)
        by_batch[batch_size] = len(full_hd) / (time.perf_counter() - start)
        figures["recorded"] = bool(predictor.engine._graphs)
        report.write()
    figures |= {
        "ms_a_frame_at_batch_1": asked(1e3 / by_batch[1], at_most=FRAME_MS),
        "best_batch": max(by_batch, key=by_batch.__getitem__),
        "frames_per_second": asked(max(by_batch.values()), at_least=FRAMES_A_SECOND),
        "polyp_share": sum(row["polyp_share"] for row in rows) / len(rows),
    }
    written = sorted(tmp_path.glob("*.png"))
    assert len(written) == len(full_hd)
    # Frames side by side get the masks that they get alone, padded to the same batch, but for
    # pixels near one half: at another place in the batch a GPU may add in another order.
    changed = 0.0
    for file in full_hd[:DISTINCT:4]:
        predict_images(predictor, sources([file]), tmp_path / "alone")
        mask = file.with_suffix(".png").name
        one, other = (cv2.imread(str(out / mask)) for out in (tmp_path, tmp_path / "alone"))
        changed = max(changed, float((one != other).mean()))
    figures["pixels_changed_beside_others"] = changed
    assert device.type == "cpu" or figures["recorded"]
    assert changed <= 1e-2  # with random weights many are near it
    assert cv2.imread(str(written[0]), cv2.IMREAD_UNCHANGED).shape == FULL_HD[::-1]


def sources(files: list[Path]) -> Sources:
    return Sources(root=files[0].parent, images=tuple(files))


def one_by_one(predictor: Predictor, files: list[Path], out: Path) -> dict[str, Any]:
    """What one frame takes while nothing else is under way."""
    taken, reported = [], []
    for file in files:
        start = time.perf_counter()
        (row,) = predict_images(predictor, sources([file]), out)
        taken.append(1e3 * (time.perf_counter() - start))
        reported.append(row["latency_ms"])
    median = sorted(taken)[len(taken) // 2]
    return {
        "ms_of_a_frame_alone": asked(median, at_most=FRAME_MS),
        "ms_of_a_frame_alone_as_reported": sorted(reported)[len(reported) // 2],
    }
