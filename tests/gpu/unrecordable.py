"""Train and predict with a network that cannot be recorded; run by itself, since torch's allocator
may record nothing more in a process where CUDA has ended a recording.

Prints as JSON the losses, beside those without recordings, and what was warned of.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.config.recipe import resolve
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.runs.network import Softmax
from harness.training.trainer import Trainer
from harness.utils import device as devices

STEPS, SIZE = 8, 64
DEVICE = devices.choose()


class Looks(nn.Module):
    """Has Python look at a value, which waits for the GPU; with dropout behind it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.drop, self.last = nn.Dropout2d(0.5), nn.Conv2d(8, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        between = self.layers(images)
        if between.abs().max().item() > 1e6:
            between = between / 2
        return self.last(self.drop(between))


def losses(*, graphs: bool) -> list[float]:
    config = resolve("unet", "paper", encoder_weights="none", size=SIZE, precision="fp32")
    made = Trainer(
        config,
        Looks(),
        device=DEVICE,
        normalisation=((0.5,) * 3, (0.25,) * 3),
        steps=STEPS,
        graphs=graphs,
    )
    shape = (4, 3, SIZE, SIZE)
    images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).byte()
    masks = (images[:, 0] > 127).byte()
    found = []
    for at in range(STEPS):
        found.append(made.step(images, masks, epoch=0, index=at, passed=at).item())
        made.validate([(images, masks)])
    return found


def predicted() -> int:
    """Frames that the network predicts."""
    how = Inference(device=DEVICE, batch_size=2)
    predictor = Predictor(Softmax(Looks()).eval(), size=SIZE, inference=how)
    frames = [(Path(str(at)), np.full((80, 90, 3), 40 * at, np.uint8)) for at in range(5)]
    return len(list(predictor.predict_pixels(frames)))


def main() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = {
            "with": losses(graphs=True),
            "without": losses(graphs=False),
            "predicted": predicted(),
        }
    result["warned"] = [str(one.message) for one in said if "CUDA graph" in str(one.message)]
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
