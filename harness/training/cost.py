"""What training a network takes, from its shapes alone: nothing is computed or allocated."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import models
from harness.config.training import TrainConfig
from harness.runs.network import options

# Memory of a training process without its network: what it does not share with its siblings.
_PROCESS_BYTES: Final = 400 * 2**20
# Of the weights: themselves, their gradients, two moments of the optimiser and their average.
_COPIES: Final = 5
# Of what the backward pass needs: gradients and work space come on top of it.
_PASSING: Final = 1.5


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What training a network takes, roughly."""

    flops: float  # multiplications and additions of a step's forward pass
    memory: float  # bytes of the process that trains it on a CPU


def estimate(configs: Sequence[TrainConfig]) -> list[Cost]:
    """The cost of training each network; one that cannot be told counts as the highest known."""
    known: dict[tuple[object, ...], Cost] = {}
    for config in {_key(config): config for config in configs}.values():
        with suppress(Exception):  # a plug-in's network may need more than shapes
            known[_key(config)] = _measure(config)
    highest = Cost(
        flops=max((cost.flops for cost in known.values()), default=1.0),
        memory=max((cost.memory for cost in known.values()), default=0.0),
    )
    return [known.get(_key(config), highest) for config in configs]


def has_unused_weights(network: nn.Module, size: int) -> bool:
    """Whether some of a network's weights take no part in its output, and so get no gradient.

    Some encoders have a last convolution that no decoder uses, and PSPNet leaves out whole stages.
    A plug-in's network that cannot be told without content counts as one of these.

    ``size`` is the side of its images, in pixels.
    """
    outline = copy.deepcopy(network).to("meta").train()
    try:
        outline(torch.empty(2, 3, size, size, device="meta")).sum().backward()
    except Exception:  # as in estimate()
        return True
    return any(p.requires_grad and p.grad is None for p in outline.parameters())


def _key(config: TrainConfig) -> tuple[object, ...]:
    """What the cost depends on; the folds of a cross-validation have it in common."""
    network = config.model, config.nodes, config.encoder, config.output_stride
    return (*network, config.size, config.batch_size)


def _measure(config: TrainConfig) -> Cost:
    """Count operations, and the bytes that the backward pass needs, on torch's meta device."""
    network = models.outline(config.model, **options(config))
    images = torch.empty(config.batch_size, 3, config.size, config.size, device="meta")
    kept: dict[int, int] = {}  # bytes by storage: several operators may keep the same

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network.train()(images)
    del logits  # until here it holds the graph, and so every storage has a number of its own
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return Cost(
        flops=max(1.0, counter.get_total_flops()),
        memory=_PROCESS_BYTES + _COPIES * weights + _PASSING * sum(kept.values()),
    )
