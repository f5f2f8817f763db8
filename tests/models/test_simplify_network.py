"""A network rewritten for prediction says what it said before, in fewer operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import models
from models.simplify_network import TOLERANCE, UpsampledConvolution, fused

ENCODER = "tu-test_resnet"


def network(name: str, encoder: str = ENCODER) -> nn.Module:
    """Random weights, and batch norms that have seen something."""
    torch.manual_seed(3)
    made = models.create(name, encoder=encoder, encoder_weights=None).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return made


def images(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        *((name, ENCODER) for name in models.PAPER_NETWORKS),
        ("fpn", "tu-tf_efficientnet_lite0"),  # its batch norms have the activation inside
    ],
)
def test_the_output_is_the_same_and_no_batch_norm_is_left(name: str, encoder: str) -> None:
    original = network(name, encoder)
    before = {key: value.clone() for key, value in original.state_dict().items()}

    made = fused(original, images())

    with torch.inference_mode():
        expected, output = original(images(96)), made(images(96))
    assert torch.allclose(output, expected, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in made.modules())
    after = original.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(("name", "share"), [("unet", 0.95), ("unet++", 0.9)])
def test_doubled_maps_cost_less(name: str, share: float) -> None:
    original = network(name)
    made = fused(original, images())

    def work(module: nn.Module) -> int:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            module(images())
        return counter.get_total_flops()

    assert work(made) < share * work(original)


@pytest.mark.parametrize("skips", [0, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_a_doubled_map_convolved(skips: int, bias: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    convolution = nn.Conv2d(3 + skips, 4, 3, padding=1, bias=bias)
    small = torch.randn(2, 3, 5, 7, generator=generator)
    skip = torch.randn(2, skips, 10, 14, generator=generator) if skips else None
    doubled = functional.interpolate(small, scale_factor=2.0, mode="nearest")
    together = doubled if skip is None else torch.cat([doubled, skip], dim=1)

    with torch.no_grad():
        output = UpsampledConvolution(convolution, 3)(small, skip)
        expected = convolution(together)

    assert torch.allclose(output, expected, atol=1e-5)


class UsedTwice(nn.Module):
    """Its convolution's output goes into the batch norm, and around it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        nn.init.constant_(self.norm.running_mean, 3.0)

    def forward(self, pixels: Tensor) -> Tensor:
        between = self.convolution(pixels)
        return self.norm(between) + between


def test_what_would_change_the_output_is_left_alone() -> None:
    original = UsedTwice().eval()
    differences: list[float] = []
    made = fused(original, images(), refused=differences.append)

    assert made is not original
    assert isinstance(made.norm, nn.BatchNorm2d)
    assert torch.equal(made(images()), original(images()))
    (difference,) = differences
    assert difference > TOLERANCE


def test_nothing_is_said_of_a_network_that_could_be_rewritten() -> None:
    differences: list[float] = []
    fused(network("unet"), images(), refused=differences.append)
    assert differences == []
