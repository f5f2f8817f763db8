"""Training with the paper's encoder. Nothing here fails for being slow.

The reference of training is the authors' loop, written anew: the same network, eager, float32,
channels first, cuDNN's default TF32, their Dice loss, Adam, the loss read at every step. It gets
one batch that lies on the GPU already, so it decodes, augments and waits for nothing. Ours has the
precision that the presets take and draws its batches from the cache through the loader, with all of
the paper's augmentations.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.data.loader import BatchLoader
from harness.runs.network import build, normalisation
from harness.training.train_run import TrainingFrames
from harness.training.trainer import Trainer
from harness.utils import device as devices
from models import PAPER_NETWORKS
from tests.gpu.report import Report, asked
from tests.gpu.scale import SCALE
from tests.gpu.timing import BATCH, images_a_second, wait

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("error:.*could not be recorded as a CUDA graph"),
]

TIMES: Final = 4.0
SHARE_OF_PEAK: Final = 0.15
WAITING: Final = 0.05

PEAK_TFLOPS: Final = {
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "H200": 989.0,
    "A100": 312.0,
}
"""Dense bf16 in the data sheets of the cards, by a part of the name; the first that fits counts."""

MEASURED: dict[str, dict[str, float]] = {}


def peak_flops(report: Report) -> float | None:
    """What the card can do in bf16; ``None`` for one that is not in the table."""
    name = report.content["machine"]["card"] or ""
    return next((1e12 * peak for part, peak in PEAK_TFLOPS.items() if part in name), None)


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
    figures |= {"gflop_an_image": flops / 1e9, "authors_images_per_second": theirs}
    report.write()
    trainer = Trainer(
        config, network, device=device, normalisation=normalisation(config), steps=100_000
    )
    pin = device.type == "cuda"
    ours, waiting = our_loop(trainer, BatchLoader(config, frames.train, frames.val, pin=pin))
    figures |= {"images_per_second": ours, "waiting_for_data": asked(waiting, at_most=WAITING)}
    report.write()
    images, masks = (one.pin_memory() if pin else one for one in (images, masks))
    stepping = images_a_second(lambda: trainer.step(images, masks, epoch=0, index=0, passed=0))

    peak = peak_flops(report)
    figures |= {
        "encoder": SCALE.encoder,
        "size": SCALE.size,
        "batch_size": BATCH,
        "precision": devices.precision("auto", device),
        "workers": config.workers,
        "images_per_second_without_loading": stepping,
        "times_faster": asked(ours / theirs, at_least=TIMES),
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
