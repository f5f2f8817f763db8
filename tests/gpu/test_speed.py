"""Training and prediction with the paper's encoder. Nothing here fails for being slow.

The reference of training is the authors' loop, written anew: the network of
segmentation-models-pytorch as it is (eager, float32, channels first, cuDNN's default TF32), their
Dice loss, Adam, the loss read at every step. It gets one batch that lies on the GPU already, so it
decodes, augments and waits for nothing. Ours has the precision that the presets take and draws its
batches from the cache through the loader, with all of the paper's augmentations.
"""

from __future__ import annotations

import copy
import functools
import itertools
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import models
from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.data.catalogue import catalogue, of_split
from harness.data.loader import BatchLoader
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.inference.sources import Sources
from harness.inference.write_masks import predict_images
from harness.runs.network import build, normalisation
from harness.training.train_run import TrainingFrames
from harness.training.trainer import Trainer
from harness.utils import device as devices
from models import PAPER_NETWORKS
from tests.gpu.conftest import Datasets
from tests.gpu.networks import predicting
from tests.gpu.report import Report, asked
from tests.gpu.scale import SCALE

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("error:.*could not be recorded as a CUDA graph"),
]

BATCH: Final = 8
FULL_HD: Final = (1920, 1080)
DISTINCT: Final = 16  # frames of 1920 x 1080; the others are copies of them
TIMES: Final = 4.0
SHARE_OF_PEAK: Final = 0.15
WAITING: Final = 0.05
FRAME_MS: Final = 10.0
FRAMES_A_SECOND: Final = 400.0

PEAK_TFLOPS: Final = {
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "H200": 989.0,
    "A100": 312.0,
}
"""Dense bf16 in the data sheets of the cards, by a part of the name; the first that fits counts."""

MEASURED: dict[str, dict[str, float]] = {}
NETWORK: Final = functools.cache(lambda: predicting("divergentnets", SCALE.encoder, SCALE.size))


def peak_flops(report: Report) -> float | None:
    """What the card can do in bf16; ``None`` for one that is not in the table."""
    name = report.content["machine"]["card"] or ""
    return next((1e12 * peak for part, peak in PEAK_TFLOPS.items() if part in name), None)


def wait() -> None:
    """Until the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def images_a_second(step: Callable[[], object]) -> float:
    """Of a step on one batch, once it is warm."""
    for _ in range(SCALE.warm_up):
        step()
    wait()
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < SCALE.measured_s:
        for _ in range(5):
            step()
        wait()
        steps += 5
    return steps * BATCH / (time.perf_counter() - start)


def authors_step(
    network: nn.Module, images: Tensor, masks: Tensor, learning_rate: float
) -> Callable[[], float]:
    """One step of the authors' loop, see above."""
    optimiser = torch.optim.Adam(network.train().parameters(), lr=learning_rate)

    def step() -> float:
        optimiser.zero_grad()
        loss = dice_loss(network(images), masks)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """One minus the Dice coefficient of the polyp over the whole batch, smoothed by 1."""
    predicted, truth = logits.softmax(dim=1)[:, 1], (masks == 1).float()
    shared = (predicted * truth).sum()
    return 1 - (2 * shared + 1) / (predicted.sum() + truth.sum() + 1)


def count_flops(network: nn.Module, images: Tensor, masks: Tensor) -> float:
    """Floating-point operations of a batch forward and backward; a multiply-add counts twice."""
    counter = FlopCounterMode(display=False)
    with counter:
        dice_loss(network.train()(images), masks).backward()
    return float(counter.get_total_flops())


def our_loop(trainer: Trainer, loader: BatchLoader) -> tuple[float, float]:
    """Images a second with their loading, and the share of time that it keeps the steps waiting."""
    waited, images, start = 0.0, 0, 0.0
    batches = itertools.chain.from_iterable(map(loader.train, itertools.count()))
    for passed in itertools.count():
        if passed == loader.steps:  # workers have started, and steps are recorded
            wait()
            waited, images, start = 0.0, 0, time.perf_counter()
        if start and time.perf_counter() - start > SCALE.measured_s:
            break
        before = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - before
        epoch, index = divmod(passed, loader.steps)
        trainer.step(batch[0], batch[1], epoch=epoch, index=index, passed=passed)
        images += len(batch[2])
    wait()
    seconds = time.perf_counter() - start
    return images / seconds, waited / seconds


def recipe(name: str, device: torch.device) -> TrainConfig:
    """The paper's, with random weights and as many loading processes as ``train`` takes."""
    return resolve(
        name,
        "paper",
        encoder=SCALE.encoder,
        encoder_weights="none",
        size=SCALE.size,
        workers=devices.workers(device),
    )


@pytest.mark.parametrize("name", PAPER_NETWORKS)
def test_training(
    device: torch.device,
    figures: dict[str, Any],
    report: Report,
    decoded: Callable[[int], TrainingFrames],
    name: str,
) -> None:
    frames, config = decoded(SCALE.size), recipe(name, device)
    torch.manual_seed(0)
    network = build(config)
    images = torch.from_numpy(frames.train.images[:BATCH].copy()).permute(0, 3, 1, 2)
    masks = torch.from_numpy(frames.train.masks[:BATCH].copy())
    batch = images.to(device).float().contiguous(), masks.to(device)
    authors = copy.deepcopy(network).to(device)
    flops = count_flops(copy.deepcopy(authors), *batch) / BATCH

    theirs = images_a_second(authors_step(authors, *batch, config.learning_rate))
    del authors
    trainer = Trainer(
        config, network, device=device, normalisation=normalisation(config), steps=100_000
    )
    pin = device.type == "cuda"
    ours, waiting = our_loop(trainer, BatchLoader(config, frames.train, frames.val, pin=pin))
    images, masks = (one.pin_memory() if pin else one for one in (images, masks))
    stepping = images_a_second(lambda: trainer.step(images, masks, epoch=0, index=0, passed=0))

    peak = peak_flops(report)
    figures |= {
        "encoder": SCALE.encoder,
        "size": SCALE.size,
        "batch_size": BATCH,
        "precision": devices.precision("auto", device),
        "workers": config.workers,
        "gflop_an_image": flops / 1e9,
        "images_per_second": ours,
        "images_per_second_without_loading": stepping,
        "authors_images_per_second": theirs,
        "times_faster": asked(ours / theirs, at_least=TIMES),
        "waiting_for_data": asked(waiting, at_most=WAITING),
        "share_of_peak": ours * flops / peak if peak else None,
        "authors_share_of_peak": theirs * flops / peak if peak else None,
    }
    MEASURED[name] = {"flops": flops, "ours": ours, "theirs": theirs}
    assert min(ours, theirs, flops) > 0


def test_training_all(figures: dict[str, Any], report: Report) -> None:
    """All networks for equally many images, one after another."""
    if not MEASURED:
        pytest.skip("no network was measured")
    ours, theirs = (
        sum(1 / measured[whose] for measured in MEASURED.values()) for whose in ("ours", "theirs")
    )
    peak = peak_flops(report)
    share = sum(measured["flops"] for measured in MEASURED.values()) / ours / peak if peak else None
    figures |= {
        "networks": list(MEASURED),
        "times_faster": asked(theirs / ours, at_least=TIMES),
        "peak_tflops": peak / 1e12 if peak else None,
        "share_of_peak": asked(share, at_least=SHARE_OF_PEAK) if share else None,
    }
    assert set(MEASURED) == set(PAPER_NETWORKS)


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
    figures |= {
        "frames": len(full_hd),
        "members": list(models.get("divergentnets").members),
        "frames_per_second_by_batch": by_batch,
    }
    # Float32 is there for comparison; its best batch is not looked for.
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
    figures |= {
        "ms_a_frame_at_batch_1": asked(1e3 / by_batch[1], at_most=FRAME_MS),
        "best_batch": max(by_batch, key=by_batch.__getitem__),
        "frames_per_second": asked(max(by_batch.values()), at_least=FRAMES_A_SECOND),
        "polyp_share": sum(row["polyp_share"] for row in rows) / len(rows),
    }
    written = sorted(tmp_path.glob("*.png"))
    assert len(written) == len(full_hd)
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
