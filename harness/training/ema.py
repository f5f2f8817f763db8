"""The running average of a network's weights."""

from __future__ import annotations

import torch
from torch import nn


class WeightAverage:
    """An exponential running average of a network's weights and buffers.

    The decay starts low, so that the average forgets the first, random weights soon.

    Args:
        network: The network to follow.
        decay: Decay once warmed up, in (0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: t.detach().clone() for name, t in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the present weights into the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        now = network.state_dict()
        floats = [name for name, tensor in now.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [self.weights[name] for name in floats], [now[name] for name in floats], 1 - decay
        )
        for name in now.keys() - set(floats):
            self.weights[name].copy_(now[name])
