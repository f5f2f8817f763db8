"""What TensorBoard is given, read back with its own reader."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from harness.training.loggers import PREDICTION, TRUTH, log_to_tensorboard, overlays, some_frames
from harness.training.loop import Epoch

SIDE = 32


def epoch(number: int) -> Epoch:
    return Epoch(
        epoch=number, loss=1 / number, iou=0.1 * number, f1=0.2 * number,
        learning_rate=1e-3, seconds=1.0, images_per_second=10.0, waiting=0.01, best=True,
    )  # fmt: skip


@pytest.fixture
def val() -> Any:
    """Six frames, of which the second, fourth and sixth have a polyp."""
    masks = np.zeros((6, SIDE, SIDE), np.uint8)
    masks[1::2, 8:20, 8:20] = 1
    images = np.arange(6, dtype=np.uint8).repeat(SIDE * SIDE * 3).reshape(6, SIDE, SIDE, 3)
    return SimpleNamespace(images=images, masks=masks)


@pytest.fixture
def trainer() -> Any:
    def probabilities(images: torch.Tensor) -> torch.Tensor:
        polyp = torch.zeros(len(images), SIDE, SIDE)
        polyp[:, 12:24, 12:24] = 0.9
        return torch.stack([1 - polyp, polyp], dim=1)

    return SimpleNamespace(probabilities=probabilities, channel=1)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), {"images": 0, "scalars": 0})
    events.Reload()
    return events


def test_scalars_and_pictures_of_each_epoch(tmp_path: Path, val: Any, trainer: Any) -> None:
    with log_to_tensorboard(tmp_path, trainer, val) as board:
        for number in (1, 2):
            board(epoch(number))

    events = read(tmp_path)
    f1 = [(event.step, round(event.value, 6)) for event in events.Scalars("validation/f1")]
    assert f1 == [(1, 0.2), (2, 0.4)]
    tags = events.Tags()["images"]
    assert tags
    assert all(tag.startswith("validation/contours") for tag in tags)
    assert [image.step for image in events.Images(tags[0])][-1] == 2


def test_epochs_that_are_done_again_stand_once(tmp_path: Path, val: Any, trainer: Any) -> None:
    with log_to_tensorboard(tmp_path, trainer, val) as board:
        for number in (1, 2, 3):
            board(epoch(number))
    with log_to_tensorboard(tmp_path, trainer, val, passed=1) as board:
        for number in (2, 3):
            board(epoch(number))

    assert [event.step for event in read(tmp_path).Scalars("loss/train")] == [1, 2, 3]


def test_frames_without_polyps_are_not_shown(val: Any) -> None:
    images, masks = some_frames(val, count=2)
    assert images[:, 0, 0, 0].tolist() == [1, 5]
    assert masks.any(dim=2).any(dim=1).all()
    val.masks[:] = 0
    assert len(some_frames(val)[0]) == 0


def test_contours_in_two_colours(val: Any, trainer: Any) -> None:
    images, masks = some_frames(val)
    drawn = overlays(images, masks, trainer.probabilities(images).argmax(dim=1))
    colours = {tuple(pixel) for pixel in drawn[0].reshape(-1, 3).tolist()}
    assert {TRUTH, PREDICTION} <= colours
