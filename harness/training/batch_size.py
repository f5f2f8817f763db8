"""The largest batch that a device's memory holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch

from harness.config.training import TrainConfig
from harness.runs.network import build, normalisation
from harness.training.trainer import Trainer
from metrics.utils.errors import UserError

LARGEST: Final = 512
SMALLEST: Final = 2  # batch norm cannot train on one frame
_STEPS: Final = 2  # the optimiser's state is there from the second on


def largest_batch(
    config: TrainConfig,
    *,
    device: torch.device,
    fits: Callable[[TrainConfig, torch.device], bool] | None = None,
) -> int:
    """Double, or halve, a recipe's batch until the next would not fit.

    Args:
        config: The recipe; its batch size is where the search begins.
        device: Where it will train. A CPU's memory is not searched, since it ends the process.
        fits: Whether a recipe can be trained; by default it is tried.

    Returns:
        int: Frames a batch; the recipe's own on a CPU.

    Raises:
        UserError: If not even the smallest batch fits.
    """
    if device.type == "cpu":
        return config.batch_size
    fits = fits or _fits

    def holds(batch_size: int) -> bool:
        return fits(dataclasses.replace(config, batch_size=batch_size), device)

    batch_size = max(SMALLEST, config.batch_size)
    while not holds(batch_size):
        batch_size //= 2
        if batch_size < SMALLEST:
            raise UserError(
                f"the memory of {device} does not hold {config.model} at {config.size} pixels, "
                f"not even {SMALLEST} frames at once. Take a smaller --size or --encoder."
            )
    if batch_size < config.batch_size:
        return batch_size
    while 2 * batch_size <= LARGEST and holds(2 * batch_size):
        batch_size *= 2
    return batch_size


def _fits(config: TrainConfig, device: torch.device) -> bool:
    shape = (config.batch_size, config.size, config.size)
    try:
        trainer = Trainer(
            dataclasses.replace(config, compile=False),
            build(config, weights=False),
            device=device,
            normalisation=normalisation(config),
            steps=_STEPS,
        )
        images = torch.zeros((shape[0], 3, *shape[1:]), dtype=torch.uint8)
        masks = torch.zeros(shape, dtype=torch.uint8)
        for step in range(_STEPS):
            trainer.step(images, masks, epoch=0, index=step, passed=step).item()
    except torch.OutOfMemoryError:
        return False
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return True
