"""The optimisers, by name, and an optimiser's learning rate and state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn

from harness.config.training import TrainConfig
from metrics.utils.validation import look_up

_OF_THE_DEVICE: Final = ("lr", "capturable", "fused", "foreach")
"""What an optimiser's groups hold that depends on where it computes."""


OPTIMISERS: Final[Mapping[str, Callable[..., torch.optim.Optimizer]]] = MappingProxyType(
    {
        "adam": torch.optim.Adam,  # the paper's
        # A run of a thousand steps is over before an average over a thousand squares, as torch's
        # own, settles.
        "adamw": partial(torch.optim.AdamW, betas=(0.9, 0.99)),
    }
)
"""By name; called with the parameters, ``lr``, ``weight_decay``, ``fused`` and ``capturable``."""


def create(config: TrainConfig, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a recipe.

    Raises:
        UserError: If the recipe's optimiser is unknown.
    """
    on_gpu = device.type == "cuda"
    return look_up(OPTIMISERS, config.optimiser, "optimiser")(
        network.parameters(),
        # A CUDA graph repeats numbers, but reads a tensor anew each time.
        lr=torch.tensor(config.learning_rate, device=device) if on_gpu else config.learning_rate,
        weight_decay=config.weight_decay,
        fused=device.type in ("cpu", "cuda"),
        capturable=on_gpu,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
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
