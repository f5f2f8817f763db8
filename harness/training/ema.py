"""The exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network that follows it as an exponential moving average, buffers included."""
    model = AveragedModel(network, multi_avg_fn=warmed_up_ema(decay), use_buffers=True)
    # At 0 the first update would copy the weights; the average begins with those of now.
    model.n_averaged.fill_(1)
    return model.eval()


def warmed_up_ema(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An average function for ``AveragedModel``.

    The decay of update n is min(``decay``, (1 + n) / (10 + n)): it starts low, so that the average
    forgets the first, random weights soon. ``get_ema_multi_avg_fn`` of torch has no such warm-up.

    Args:
        decay: Decay once warmed up, in (0, 1).
    """

    @torch.no_grad()
    def update(averages: Tensors, values: Tensors, n: Tensor | int) -> None:
        if not averages[0].is_floating_point():  # such as batch norm's count of batches
            torch._foreach_copy_(averages, values)
            return
        count = int(n)
        warm_up = (1 + count) / (10 + count)
        torch._foreach_lerp_(averages, values, 1 - min(decay, warm_up))

    return update
