"""Train compiled networks; run by itself and early, so that compiling overlaps with other checks.

Prints as JSON, a line each, the losses of a compiled network beside those of a plain one, and the
seconds of the first step of one with the paper's encoder. Its further steps wait for a line on
stdin, so that nothing else computes while they are timed; their speed is the last line.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from typing import Any

import torch

from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.training.trainer import Trainer
from harness.utils import device as devices
from tests.gpu.networks import drop_nothing, pictures, trainer_of
from tests.gpu.scale import SCALE
from tests.gpu.timing import BATCH, images_a_second, wait

STEPS = 5
DEVICE = devices.choose(SCALE.device)


def recipe(name: str, encoder: str, size: int, **changes: Any) -> TrainConfig:
    return resolve(name, "paper", encoder=encoder, encoder_weights="none", size=size, **changes)


def losses(config: TrainConfig, *, moved: bool = False) -> tuple[list[float], bool]:
    """Of steps on one batch, and whether they were recorded."""
    trainer = trainer_of(config, DEVICE, STEPS, moved=moved)
    drop_nothing(trainer)
    images = pictures(BATCH, config.size).to(torch.uint8)
    masks = (images[:, 0] > 127).byte()
    found = [trainer.step(images, masks, epoch=0, index=0, passed=0).item() for _ in range(STEPS)]
    return found, is_recorded(trainer)


def is_recorded(trainer: Trainer) -> bool:
    return trainer._graphed is not None and bool(trainer._graphed._recordings)


def say(**found: Any) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201


def main() -> None:
    plain = recipe("fpn", SCALE.small_encoder, SCALE.small_size, precision="fp32")
    compiled, recorded = losses(dataclasses.replace(plain, compile=True))
    say(
        losses={
            "compiled": compiled,
            "plain": losses(plain)[0],
            "moved": losses(plain, moved=True)[0],
        },
        recorded=recorded,
    )

    config = dataclasses.replace(recipe("unet", SCALE.encoder, SCALE.size), compile=True)
    trainer = trainer_of(config, DEVICE, 100_000)
    images = pictures(BATCH, SCALE.size).to(torch.uint8)
    masks = (images[:, 0] > 127).byte()
    start = time.perf_counter()
    trainer.step(images, masks, epoch=0, index=0, passed=0)
    wait()
    say(first_step_s=time.perf_counter() - start)

    sys.stdin.readline()
    speed = images_a_second(lambda: trainer.step(images, masks, epoch=0, index=0, passed=0))
    say(images_per_second_without_loading=speed, recorded=is_recorded(trainer))


if __name__ == "__main__":
    main()
