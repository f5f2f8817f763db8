"""The weights of a network in bfloat16, converted all at once.

Autocast converts each weight by a kernel of its own, and each weight's gradient by another. At a
batch of 8 a GPU takes longer to start such a kernel than to run it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.dilated import DilatedConv2d

_CONVERTED: Final = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, DilatedConv2d)
"""Modules whose weights autocast converts. Not their subclasses, which may do more with theirs."""


class Bf16Weights:
    """Computes a network as autocast does, with the same weights and gradients.

    The gradients of a weight that is used several times are added in bfloat16, though, not in
    float32; no network of segmentation-models-pytorch has such a weight.

    Args:
        network: Its weights stay float32; those of convolutions and linear layers are copied.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._full = {
            f"{name}.{own}" if name else own: weight
            for name, module in network.named_modules()
            if type(module) in _CONVERTED
            for own, weight in module.named_parameters(recurse=False)
        }
        self._low = {
            name: torch.empty_like(weight, dtype=torch.bfloat16).requires_grad_(
                weight.requires_grad
            )
            for name, weight in self._full.items()
        }

    def __call__(self, images: Tensor) -> Tensor:
        """The network's output; to be called within autocast."""
        for weight in self._low.values():
            weight.grad = None  # left by a recording that failed in the midst of its backward pass
        with torch.no_grad():
            _copy(self._full.values(), self._low.values())
        output: Tensor = functional_call(self._network, self._low, (images,))
        return output

    def move_gradients(self) -> None:
        """Give the network's weights the gradients that a backward pass left here."""
        low, full = [], []
        for name, weight in self._low.items():
            if weight.grad is not None:
                low.append(weight.grad)
                full.append(torch.empty_like(self._full[name]))
                self._full[name].grad, weight.grad = full[-1], None
        _copy(low, full)


def _copy(sources: Iterable[Tensor], targets: Iterable[Tensor]) -> None:
    """Copy tensors to others of the same shapes, on a GPU by a few kernels."""
    if targets := list(targets):  # torch refuses empty lists
        torch._foreach_copy_(targets, list(sources))
