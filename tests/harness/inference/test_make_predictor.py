"""What a faster precision changes is counted, and said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.inference.make_predictor import changed_pixels, make_predictor, sample_of
from harness.inference.prediction import Inference, Prediction
from harness.runs.network import Loaded
from harness.runs.run import Run
from metrics.masks.classes import ONE

CPU = torch.device("cpu")


class Even(nn.Module):
    """Half of what a convolution makes of it: kernels that bfloat16 cannot hold decide."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 1, bias=False)
        # In bfloat16 the sum of the kernels is 1/256, and a grey pixel of 128 no more than 0.5.
        nn.init.constant_(self.convolution.weight, 1.001 / (3 * 256))

    def forward(self, images: Tensor) -> Tensor:
        polyp = self.convolution(images)
        return torch.cat([1 - polyp, polyp], dim=1)


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    """Twenty frames whose upper half is grey, at 128, and whose lower half is black."""
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16] = 128
    paths = [tmp_path / f"{number:02}.png" for number in range(20)]
    for path in paths:
        cv2.imwrite(str(path), pixels)
    return paths


def loaded() -> Loaded:
    run = Run(
        run="r", model="even", status="finished", folder=Path(), settings={}, members={}, row={}
    )
    return Loaded(run=run, network=Even().eval(), size=32, classes=ONE)


def said(precision: str, frames: list[Path]) -> list[str]:
    messages: list[str] = []
    inference = Inference(device=CPU, precision=precision)
    make_predictor(loaded(), inference, sample=sample_of(frames), say=messages.append)
    return messages


def test_nothing_is_said_of_the_reference(frames: list[Path]) -> None:
    assert said("fp32", frames) == []


def test_bf16_says_what_it_changes(frames: list[Path]) -> None:
    (message,) = said("bf16", frames)

    assert f"of {8 * 32 * 64} pixels" in message
    assert "8 frames" in message
    changed = int(message.split("changes ")[1].split()[0])
    assert 7 * 16 * 64 < changed < 9 * 16 * 64


def test_pixels_are_counted_by_hand() -> None:
    def predicted(*rows: str) -> Prediction:
        mask = np.array([[character == "#" for character in row] for row in rows])
        return Prediction(
            image=Path(),
            probabilities=np.zeros((1, 1, 1), np.float32),
            labels=mask,
            classes=ONE,
            latency_ms=1.0,
        )

    found = changed_pixels(
        [predicted("##.", "..."), predicted("#")], [predicted("#..", "..#"), predicted("#")]
    )

    assert (found.frames, found.changed, found.pixels) == (2, 2, 7)


def test_a_sample_is_spread_over_the_frames(frames: list[Path]) -> None:
    class Seen:
        def predict(self, images: list[Path], **_: object) -> list[Path]:
            return images

    assert sample_of(frames[:16])(Seen()) == frames[:16:2]
    assert sample_of(frames[:15])(Seen()) == [frames[at] for at in (0, 1, 3, 5, 7, 9, 11, 13)]
    assert sample_of(frames[:3])(Seen()) == frames[:3]
