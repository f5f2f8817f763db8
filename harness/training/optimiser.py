"""The optimiser of a training, its learning rate and its state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from harness.config.training import TrainConfig

_WARM_UP: Final = 0.25
_OF_THE_DEVICE: Final = ("lr", "capturable", "fused", "foreach")
"""What an optimiser's groups hold that depends on where it computes."""


def learning_rate(config: TrainConfig, *, epoch: int, passed: int, steps: int) -> float:
    """The learning rate of a step: a pure function of where the run is.

    ``step`` is the paper's (Section 3.2): a tenth from epoch ``drop_after`` on. ``one-cycle``
    rises from a tenth over the first quarter and falls to a thousandth, both along a cosine.

    Args:
        config: The recipe.
        epoch: Epoch, counted from 0.
        passed: Steps taken before this one.
        steps: Steps of the whole run.
    """
    peak = config.learning_rate
    if config.schedule == "step":
        return peak if epoch < config.drop_after else peak / 10
    progress = passed / max(1, steps)
    if progress < _WARM_UP:
        low, high, part = peak / 10, peak, progress / _WARM_UP
    else:
        low, high, part = peak, peak / 1000, (progress - _WARM_UP) / (1 - _WARM_UP)
    return low + (high - low) * (1 - math.cos(math.pi * part)) / 2


def create(config: TrainConfig, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a recipe.

    Args:
        config: The recipe.
        network: Whose parameters it changes.
        device: Where they are.
    """
    adam = config.optimiser == "adam"
    kind = torch.optim.Adam if adam else torch.optim.AdamW
    on_gpu = device.type == "cuda"
    return kind(
        network.parameters(),
        # A CUDA graph repeats numbers, but reads a tensor anew each time.
        lr=torch.tensor(config.learning_rate, device=device) if on_gpu else config.learning_rate,
        # A run of a thousand steps is over before an average over a thousand squares settles.
        betas=(0.9, 0.999) if adam else (0.9, 0.99),
        weight_decay=config.weight_decay,
        fused=device.type in ("cpu", "cuda"),
        capturable=on_gpu,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step.

    Args:
        optimiser: One of :func:`create`.
        rate: The learning rate.
    """
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def portable(state: dict[str, Any]) -> dict[str, Any]:
    """An optimiser's state that any device can load: the learning rate as a number."""
    groups = [{**group, "lr": float(group["lr"])} for group in state["param_groups"]]
    return {**state, "param_groups": groups}


def load(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load an optimiser's state, also one of another device, and keep what belongs to this one.

    Args:
        optimiser: One of :func:`create`; its learning rate stays the tensor or number it is.
        state: Of :func:`portable`, or as torch gives it.
    """
    own = [{name: group[name] for name in _OF_THE_DEVICE} for group in optimiser.param_groups]
    groups = [{**group, **kept} for group, kept in zip(state["param_groups"], own, strict=True)]
    optimiser.load_state_dict({**state, "param_groups": groups})
    for group, kept in zip(optimiser.param_groups, own, strict=True):
        group.update(kept)
    set_learning_rate(optimiser, float(state["param_groups"][0]["lr"]))
