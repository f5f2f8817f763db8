"""Steps that are recorded, and batches that overlap, give what they give without."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.training.trainer import Trainer
from tests.gpu.networks import ROUNDING, pictures, predicting, trainer_of
from tests.gpu.scale import DRY, SCALE

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("error:.*could not be recorded as a CUDA graph"),
]

STEPS: Final = 3 if DRY else 8
LIMIT: Final = {"fp32": 1e-3, "bf16": 2e-2}
"""Between losses. Other channels that are dropped make a loss differ by more."""
SIDES: Final = [(180, 240), (97, 131), (256, 256), (240, 180), (64, 320)]


def recipe(name: str, precision: str) -> TrainConfig:
    return resolve(
        name, "paper", encoder=SCALE.small_encoder, encoder_weights="none",
        size=SCALE.small_size, precision=precision,
    )  # fmt: skip


def batch() -> tuple[Tensor, Tensor]:
    images = pictures(8, SCALE.small_size).to(torch.uint8)
    return images.contiguous(memory_format=torch.channels_last), (images[:, 0] > 127).byte()


def losses(made: Trainer, start: int = 0) -> list[float]:
    """Of steps on one batch, which differ by their dropout, too."""
    steps = range(start, start + STEPS)
    pending = [made.step(*batch(), epoch=0, index=at, passed=at) for at in steps]
    return torch.stack(pending).tolist()


@pytest.mark.parametrize(
    ("name", "precision"), [("fpn", "fp32"), *([] if DRY else [("deeplabv3+", "bf16")])]
)
def test_recorded_steps(
    device: torch.device, figures: dict[str, Any], name: str, precision: str
) -> None:
    """With their dropout, their weights in bfloat16, and a state that is loaded behind them."""
    config = recipe(name, precision)
    made = trainer_of(config, device, 2 * STEPS)
    plain, autocast = (trainer_of(config, device, 2 * STEPS, graphs=False) for _ in range(2))
    autocast._bf16 = None
    moved = trainer_of(config, device, 2 * STEPS, moved=True, graphs=False)
    found = {"recorded": losses(made), "plain": losses(plain), "autocast": losses(autocast)}
    state = copy.deepcopy(made.state_dict())
    found["next"] = losses(made, STEPS)
    made.load_state_dict(state)  # its recordings read the optimiser's former state
    found["loaded"] = losses(made, STEPS)
    found["moved"], found["moved on"] = losses(moved), losses(moved, STEPS)

    figures["losses"] = found
    apart = {"recorded": "plain", "plain": "autocast", "next": "loaded"}
    figures["max_difference"] = differences(found, apart)
    figures["weights_moved_by_a_rounding"] = differences(
        found, {"moved": "plain", "moved on": "next"}
    )
    by_rounding = max(figures["weights_moved_by_a_rounding"].values())
    limit = max(LIMIT[precision], ROUNDING * by_rounding)
    assert max(figures["max_difference"].values()) <= limit
    assert len(set(found["recorded"])) == STEPS
    if device.type == "cuda":
        assert made._graphed is not None
        assert made._graphed._recordings


def differences(losses: dict[str, list[float]], pairs: dict[str, str]) -> dict[str, float]:
    """The largest difference of two runs, by their names."""
    return {
        f"{one}, {other}": max(abs(a - b) for a, b in zip(losses[one], losses[other], strict=True))
        for one, other in pairs.items()
    }


def test_validation_between_steps(device: torch.device, figures: dict[str, Any]) -> None:
    """Recordings of both share memory; the weights are those of their time."""
    config = recipe("fpn", "fp32")
    made, plain = (trainer_of(config, device, STEPS, graphs=graphs) for graphs in (True, False))
    counts: dict[str, list[Tensor]] = {"recorded": [], "plain": []}
    for which, one in (("recorded", made), ("plain", plain)):
        for at in range(STEPS):
            one.step(*batch(), epoch=0, index=at, passed=at)
            counts[which].append(one.overlaps([batch(), batch()]))
    pairs = zip(counts["recorded"], counts["plain"], strict=True)
    pixels = SCALE.small_size**2
    figures["share_of_pixels"] = [(a - b).abs().max().item() / pixels for a, b in pairs]
    assert max(figures["share_of_pixels"]) <= 0.05
    if device.type == "cuda":
        assert made._graphed_validation is not None
        assert made._graphed_validation._recordings


def frames() -> list[tuple[Path, NDArray[np.uint8]]]:
    """Frames of several sizes, of more than two batches."""
    drawn = pictures((1 if DRY else 3) * len(SIDES), max(max(SIDES))).to(torch.uint8)
    sides = itertools.cycle(SIDES)
    return [
        (Path(str(at)), np.ascontiguousarray(one.permute(1, 2, 0)[:height, :width].numpy()))
        for at, (one, (height, width)) in enumerate(zip(drawn, sides, strict=False))
    ]


@pytest.mark.parametrize("tta", [False] if DRY else [False, True])
def test_overlapping_batches(device: torch.device, figures: dict[str, Any], tta: bool) -> None:
    """Each frame gets what it gets alone: no copy is read too early, and none is mixed up."""
    predictor = Predictor(
        predicting("divergentnets", SCALE.small_encoder, SCALE.small_size),
        size=SCALE.small_size,
        inference=Inference(device=device, batch_size=4, tta=tta),
        uncertainty=True,
        members=(0, 2),
    )
    alone = [one for frame in frames() for one in predictor.predict_pixels([frame])]
    apart, shares, latencies = [], [], []
    for _ in range(1 if DRY else 3):
        for one, other in zip(predictor.predict_pixels(frames()), alone, strict=True):
            assert one.image == other.image
            latencies.append(one.latency_ms)
            for mine, its in zip((one, *one.members), (other, *other.members), strict=True):
                # At another place in its batch a frame may be summed up in another order.
                apart.append(float(np.abs(mine.probabilities - its.probabilities).max()))
                shares.append(float((mine.labels != its.labels).mean()))
    figures |= {
        "frames": len(alone),
        "max_difference": max(apart),
        "largest_share_of_pixels": max(shares),
        "median_ms": sorted(latencies)[len(latencies) // 2],
    }
    assert max(apart) <= 1e-4
    assert max(shares) <= 1e-3
    assert min(latencies) > 0
    assert device.type == "cpu" or predictor.engine._graphs
