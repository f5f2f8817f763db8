"""Convolutions of very small maps, forward and backward, against the library's, in the same run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.training.small_convolutions import small_convolution

CHANNELS = 512


@pytest.mark.parametrize("side", [2, 3, 4])
def test_a_small_convolution(benchmark, fastest, seconds, side: int) -> None:
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
    layer = layer.to(memory_format=torch.channels_last)
    maps = torch.randn(8, CHANNELS, side, side).contiguous(memory_format=torch.channels_last)
    maps.requires_grad_()
    upstream = torch.ones_like(maps)

    def step(convolution: Callable[..., Tensor]) -> None:
        layer.weight.grad = maps.grad = None
        convolution().backward(upstream)

    def library() -> None:
        step(lambda: functional.conv2d(maps, layer.weight, padding=1))

    library()
    theirs = seconds(library, 10)
    benchmark(lambda: step(lambda: small_convolution(maps, layer.weight)))
    benchmark.extra_info["times_faster"] = theirs / fastest()
