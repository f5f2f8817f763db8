"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import nn


class MovingAverage:
    """A copy of a network that follows it as an exponential moving average, buffers included.

    The decay of update n is min(``decay``, (1 + n) / (10 + n)): it starts low, so that the average
    forgets the first, random weights soon. torch's ``AveragedModel`` keeps count on the device, so
    that each update would wait for a GPU.

    Args:
        network: The network as it is before the first step; it keeps its tensors.
        decay: Decay once warmed up, in (0, 1).

    Attributes:
        module: The averaged network, in eval mode.
        updates: How many there were.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network).eval()
        self.updates = 0
        self._decay = decay
        tensors = (itertools.chain(m.parameters(), m.buffers()) for m in (self.module, network))
        pairs = list(zip(*tensors, strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        # Such as batch norm's counts of batches.
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Follow the network after a step."""
        self.updates += 1
        share = 1 - min(self._decay, (1 + self.updates) / (10 + self.updates))
        averages, values = zip(*self._floats, strict=True)
        torch._foreach_lerp_(averages, values, share)
        if self._others:
            averages, values = zip(*self._others, strict=True)
            torch._foreach_copy_(averages, values)
