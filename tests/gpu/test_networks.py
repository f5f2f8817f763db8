"""Networks on the GPU agree with themselves on the CPU, in prediction and in training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.config.recipe import resolve
from harness.data.catalogue import catalogue, of_split
from harness.data.loader import BatchLoader
from harness.inference.engine import Engine
from harness.inference.make_predictor import changed_pixels
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.runs.network import Normalised, Softmax, build, normalisation
from harness.training.train_run import TrainingFrames
from harness.utils import device as devices
from models import PAPER_NETWORKS
from tests.gpu.conftest import Datasets
from tests.gpu.networks import (
    ROUNDING,
    drop_nothing,
    moved_by_a_rounding,
    pictures,
    predicting,
    trainer_of,
)
from tests.gpu.scale import DRY, SCALE

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")
SMALL = [
    (name, SCALE.small_encoder, SCALE.small_size) for name in (*PAPER_NETWORKS, "divergentnets")
]
PAPER = [("unet", SCALE.encoder, SCALE.size)]
PROBABILITY, LOSS = 1e-4, 1e-3
STEPS = 5
COMPARED = 24  # frames whose masks are compared


def engine(network: nn.Module, device: torch.device, batch_size: int = 4) -> Engine:
    return Engine(network, device=device, precision="fp32", batch_size=batch_size)


@pytest.mark.parametrize(("name", "encoder", "size"), SMALL + PAPER)
def test_probabilities(
    device: torch.device, figures: dict[str, Any], name: str, encoder: str, size: int
) -> None:
    network, images = predicting(name, encoder, size), pictures(4, size)

    expected = engine(copy.deepcopy(network), CPU)(images)[:, 1]
    moved = engine(moved_by_a_rounding(network), CPU)(images)[:, 1]
    found = engine(network, device)(images.to(device)).cpu()[:, 1]

    apart = (found - expected).abs().max().item()
    by_rounding = (moved - expected).abs().max().item()
    limit = max(PROBABILITY, ROUNDING * by_rounding)
    differing = (found > 0.5) != (expected > 0.5)
    ties = (expected - 0.5).abs() <= limit
    figures |= {
        "max_difference": apart,
        "weights_moved_by_a_rounding": by_rounding,
        "pixels": differing.numel(),
        "pixels_differing": int(differing.sum()),
        "polyp_share": (expected > 0.5).double().mean().item(),
    }
    assert 0.05 < figures["polyp_share"] < 0.95
    assert apart <= limit
    assert not (differing & ~ties).any()


@pytest.mark.skipif(DRY, reason="a CPU has no CUDA graphs")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_replayed_graphs(figures: dict[str, Any], name: str) -> None:
    device = devices.choose(name)
    made = engine(predicting("divergentnets", SCALE.small_encoder, SCALE.small_size), device)
    # Fewer frames than a batch, a batch, more than a batch; each at a size of its own.
    shapes = {(3, 64): [], (4, 96): [], (6, 128): []}  # type: dict[tuple[int, int], list[float]]
    for seed in range(3):  # the first records, the others replay, one shape after another
        for (frames, size), apart in shapes.items():
            images = pictures(frames, size, seed).to(device)
            apart.append((made(images) - eager(made, images)).abs().max().item())

    figures["max_difference"] = {f"{n} x {s} x {s}": v for (n, s), v in shapes.items()}
    assert len(made._graphs) == len(shapes)
    assert max(map(max, shapes.values())) <= 1e-6


def eager(made: Engine, images: Tensor) -> Tensor:
    """What an engine records, without recording it."""
    missing = max(0, made.batch_size - len(images))
    filled = functional.pad(images, (0, 0) * 3 + (0, missing))
    filled = filled.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), devices.exact_float32(made.device):
        total = sum(member(filled).float() for member in made.members)
    return (total / len(made.members))[: len(images)]


@pytest.fixture
def frames(decoded: Callable[[int], TrainingFrames]) -> TrainingFrames:
    return decoded(SCALE.small_size)


@pytest.mark.parametrize("name", PAPER_NETWORKS)
def test_masks_in_bf16(
    device: torch.device,
    figures: dict[str, Any],
    datasets: Datasets,
    frames: TrainingFrames,
    name: str,
) -> None:
    network = trained(name, frames, device, figures)
    images = [Path(path) for path in of_split(catalogue(datasets.settings), "val")["image"]]
    images = images[:: max(1, len(images) // COMPARED)][:COMPARED]

    masks = []
    for precision in ("fp32", "bf16"):
        how = Inference(device=device, precision=precision, batch_size=8)
        predictor = Predictor(network, size=SCALE.small_size, inference=how)
        masks.append(list(predictor.predict(images)))
    found = changed_pixels(*masks)

    figures |= {
        "frames": found.frames,
        "pixels": found.pixels,
        "pixels_changed": found.changed,
        "share_changed": found.changed / found.pixels,
        "polyp_share": sum(int(p.mask.sum()) for p in masks[0]) / found.pixels,
    }
    assert figures["share_changed"] <= SCALE.bf16_limit


def trained(
    name: str, frames: TrainingFrames, device: torch.device, figures: dict[str, Any]
) -> nn.Module:
    """A network after a short training; its validation goes into the figures."""
    config = resolve(
        name,
        "quick",
        encoder=SCALE.small_encoder,
        encoder_weights="none",
        size=SCALE.small_size,
        workers=0,
    )
    torch.manual_seed(config.seed)
    trainer = trainer_of(config, device, steps=SCALE.training_steps)
    loader = BatchLoader(config, frames.train, frames.val, pin=device.type == "cuda")
    batches = (batch for epoch in count() for batch in loader.train(epoch))
    for passed, (images, masks, _) in enumerate(islice(batches, SCALE.training_steps)):
        trainer.step(images, masks, epoch=0, index=passed, passed=passed)
    validation = trainer.validate(loader.validation())
    figures |= {"steps": SCALE.training_steps, "iou": validation.iou, "f1": validation.f1}
    network = build(config, weights=False)
    network.load_state_dict(trainer.weights())
    return Softmax(Normalised(network, normalisation(config))).eval()


@pytest.mark.parametrize(("name", "encoder", "size"), SMALL[:-1] + PAPER)
def test_five_steps(
    device: torch.device,
    figures: dict[str, Any],
    frames: TrainingFrames,
    name: str,
    encoder: str,
    size: int,
) -> None:
    # The paper's size would take the CPU long; the encoder is what differs here.
    config = resolve(
        name, "paper", encoder=encoder, encoder_weights="none", size=SCALE.small_size,
        precision="fp32",
    )  # fmt: skip
    images = torch.from_numpy(frames.train.images[: 8 * STEPS].copy()).permute(0, 3, 1, 2)
    masks = torch.from_numpy(frames.train.masks[: 8 * STEPS].copy())
    batches = list(zip(images.split(8), masks.split(8), strict=True))
    losses = {}
    for run, place, moved in (("cpu", CPU, False), ("moved", CPU, True), ("gpu", device, False)):
        trainer = trainer_of(config, place, STEPS, moved=moved)
        drop_nothing(trainer)
        losses[run] = [
            trainer.step(*batch, epoch=0, index=step, passed=step).item()
            for step, batch in enumerate(batches)
        ]

    apart, by_rounding = (
        max(abs(a - b) for a, b in zip(losses["cpu"], losses[other], strict=True))
        for other in ("gpu", "moved")
    )
    figures |= {
        "losses": losses,
        "max_difference": apart,
        "weights_moved_by_a_rounding": by_rounding,
    }
    assert apart <= max(LOSS, ROUNDING * by_rounding)
