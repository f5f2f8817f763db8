"""Dilated convolutions that skip padding compute what torch's do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import models
from models.dilated import DilatedConv2d, skip_padding


def convolution(
    kernel: tuple[int, int], dilation: tuple[int, int], groups: int, *, bias: bool
) -> nn.Conv2d:
    padding = dilation[0] * (kernel[0] // 2), dilation[1] * (kernel[1] // 2)
    return nn.Conv2d(
        6, 6 if groups == 6 else 4, kernel, padding=padding, dilation=dilation, groups=groups,
        bias=bias, dtype=torch.float64,
    )  # fmt: skip


def gradients(module: nn.Module, images: Tensor) -> list[Tensor]:
    leaf = images.clone().requires_grad_()
    output = module(leaf)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    of = torch.autograd.grad((output * weights).sum(), [leaf, *module.parameters()])
    return [output.detach(), *of]


@pytest.mark.parametrize(("groups", "bias"), [(1, True), (2, False), (6, False), (6, True)])
@pytest.mark.parametrize("size", [(1, 1), (4, 9), (8, 8), (30, 5)])
@pytest.mark.parametrize(
    ("kernel", "dilation"), [((3, 3), (2, 2)), ((5, 5), (4, 4)), ((3, 5), (1, 3)), ((3, 3), (8, 8))]
)
def test_output_and_gradients_are_those_of_torch(
    kernel: tuple[int, int],
    dilation: tuple[int, int],
    size: tuple[int, int],
    groups: int,
    bias: bool,
) -> None:
    torch.manual_seed(0)
    theirs = nn.Sequential(convolution(kernel, dilation, groups, bias=bias))
    ours = copy.deepcopy(theirs)
    images = torch.randn(3, 6, *size, dtype=torch.float64)

    skip_padding(ours)

    assert type(ours[0]) is DilatedConv2d
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for found, expected in zip(gradients(ours, images), gradients(theirs, images), strict=True):
        torch.testing.assert_close(found, expected)


def test_only_convolutions_that_keep_the_size_are_replaced() -> None:
    others = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, stride=2),
        nn.Conv2d(4, 4, 3, padding=0, dilation=2),
        nn.Conv2d(4, 4, 2, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, padding_mode="reflect"),
    )
    before = list(others)

    skip_padding(others)

    assert list(others) == before


def test_under_autocast_the_gradients_are_near() -> None:
    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False))
    ours = copy.deepcopy(theirs)
    skip_padding(ours)
    images = torch.randn(2, 8, 9, 9)

    with torch.autocast("cpu", torch.bfloat16):
        found, expected = gradients(ours, images), gradients(theirs, images)

    assert [t.dtype for t in found] == [t.dtype for t in expected]
    for ours_, theirs_ in zip(found, expected, strict=True):
        torch.testing.assert_close(ours_, theirs_, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", ["deeplabv3", "deeplabv3+"])
def test_a_network_predicts_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    ours = models.create(name, encoder="tu-test_efficientnet", encoder_weights=None).eval()
    monkeypatch.setattr("models.decoders.skip_padding", lambda network: None)
    theirs = models.create(name, encoder="tu-test_efficientnet", encoder_weights=None).eval()
    assert any(isinstance(module, DilatedConv2d) for module in ours.modules())

    theirs.load_state_dict(ours.state_dict())

    images = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)
