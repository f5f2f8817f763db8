"""Weights converted all at once compute what autocast computes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import models
from harness.training.bf16_weights import Bf16Weights


def autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=False)


def images(size: int = 32) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["unet", "deeplabv3+"])
def test_output_and_gradients_are_those_of_autocast(name: str) -> None:
    torch.manual_seed(0)
    plain = models.create(name, encoder="tu-resnet10t", encoder_weights=None).train()
    for module in plain.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    converted = copy.deepcopy(plain)

    with autocast():
        expected = plain(images())
    expected.float().square().mean().backward()
    weights = Bf16Weights(converted)
    with autocast():
        found = weights(images())
    found.float().square().mean().backward()
    weights.move_gradients()

    assert torch.equal(found, expected)
    for one, two in zip(converted.parameters(), plain.parameters(), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one.grad, two.grad)  # type: ignore[arg-type]


def test_it_computes_with_the_weights_of_now() -> None:
    network = nn.Conv2d(3, 1, 1)
    weights = Bf16Weights(network)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(1.0)  # type: ignore[union-attr]

    with autocast():
        assert torch.equal(weights(torch.ones(1, 3, 1, 1)), torch.full((1, 1, 1, 1), 7.0))


def test_gradients_of_one_step_alone_are_moved() -> None:
    network = nn.Conv2d(3, 1, 1, bias=False)
    weights = Bf16Weights(network)
    for times in (1, 3):
        network.zero_grad(set_to_none=True)
        with autocast():
            weights(torch.ones(1, 3, 1, 1)).float().sum().mul(times).backward()
        weights.move_gradients()

    assert torch.equal(network.weight.grad, torch.full((1, 3, 1, 1), 3.0))  # type: ignore[arg-type]


def test_frozen_and_unused_weights_have_no_gradients() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 1, 1)

        def forward(self, images: Tensor) -> Tensor:
            return self.used(images)

    network = Half()
    network.used.bias.requires_grad_(False)
    weights = Bf16Weights(network)
    with autocast():
        weights(images()).float().sum().backward()
    weights.move_gradients()

    given = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert given == {"used.weight"}


def test_a_subclass_may_do_more_with_its_weights() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            assert self.weight.dtype == torch.float32
            return self._conv_forward(input, self.weight / self.weight.std(), self.bias)

    network = Standardised(3, 2, 1)
    with autocast():
        found = Bf16Weights(network)(images())
        assert torch.equal(found, network(images()))


def test_gradients_of_a_step_that_failed_are_left_out() -> None:
    """As where the memory is full in the midst of a recording's backward pass."""

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(_ctx: object, images: Tensor) -> Tensor:
            return images.clone()

        @staticmethod
        def backward(_ctx: object, *_gradients: Tensor) -> Tensor:
            raise torch.OutOfMemoryError

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 1, 1), nn.Conv2d(1, 1, 1)
            self.fails = True

        def forward(self, images: Tensor) -> Tensor:
            between = self.first(images)
            return self.second(Fails.apply(between) if self.fails else between)

    network = Network()
    weights = Bf16Weights(network)
    with autocast():
        output = weights(images())
    with pytest.raises(torch.OutOfMemoryError):
        output.float().sum().backward()
    network.fails = False
    with autocast():
        weights(images()).float().sum().backward()
    weights.move_gradients()

    assert network.second.bias.grad == images()[:, 0].numel()  # type: ignore[union-attr]
