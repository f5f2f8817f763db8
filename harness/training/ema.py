"""The running average of a network's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential running average of a network's weights and buffers.

    The decay starts low, so that the average forgets the first, random weights soon.

    Args:
        network: The network to train_worker, on its device; its tensors may change in place only.
        decay: Decay once warmed up, in (0, 1).

    Attributes:
        weights: The average, by the names of the network's state dict.
        updates: Updates so far.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        # These share the network's memory. Collecting them takes milliseconds, so it is done once.
        now = network.state_dict()
        self.weights = {name: tensor.detach().clone() for name, tensor in now.items()}
        floats = [name for name, tensor in now.items() if tensor.is_floating_point()]
        counts = [name for name in now if name not in set(floats)]
        self._floats = self._pairs(now, floats)
        self._counts = self._pairs(now, counts)

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's present weights into the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, now = self._floats
        torch._foreach_lerp_(averages, now, 1 - decay)
        averages, now = self._counts
        if averages:
            torch._foreach_copy_(averages, now)

    def _pairs(self, now: dict[str, Tensor], names: list[str]) -> tuple[list[Tensor], list[Tensor]]:
        return [self.weights[name] for name in names], [now[name] for name in names]
