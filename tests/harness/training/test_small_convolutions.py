"""Small convolutions against the library's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.training.small_convolutions import SmallConvolutions, small_convolution


def _random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2), (3, 2)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_value_and_gradients_are_the_librarys(size: tuple[int, int], with_bias: bool) -> None:
    images, weight = _random(2, 3, *size), _random(5, 3, 3, 3)
    inputs = (images, weight, _random(5)) if with_bias else (images, weight)
    ours, theirs = small_convolution(*inputs), functional.conv2d(*inputs, padding=1)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(theirs)
    for mine, expected in zip(
        torch.autograd.grad(ours, inputs, upstream),
        torch.autograd.grad(theirs, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, expected)


def test_a_gradient_of_the_weights_has_their_order() -> None:
    weight = torch.randn(4, 6, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    small_convolution(torch.randn(1, 6, 2, 2), weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.stride() == weight.stride()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of the maps that our own convolution was called with."""
    shapes: list[torch.Size] = []

    def noted(images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        shapes.append(images.shape)
        return small_convolution(images, weight, bias)

    monkeypatch.setattr("harness.training.small_convolutions.small_convolution", noted)
    return shapes


def test_the_mode_takes_what_it_is_made_for(taken: list[torch.Size]) -> None:
    layer = nn.Conv2d(512, 256, 3, padding=1)
    maps = _random(2, 512, 4, 4, dtype=torch.float32)
    expected = layer(maps)
    with SmallConvolutions():
        torch.testing.assert_close(layer(maps), expected, rtol=1e-4, atol=1e-5)
    assert taken == [maps.shape]


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        (nn.Conv2d(512, 256, 3, padding=1), 5),
        (nn.Conv2d(512, 256, 3, padding=1, stride=2), 4),
        (nn.Conv2d(512, 256, 3, padding=2, dilation=2), 4),
        (nn.Conv2d(512, 256, 3), 4),
        (nn.Conv2d(512, 256, 3, padding="same"), 4),
        (nn.Conv2d(512, 256, 3, padding=1, padding_mode="reflect"), 4),
        (nn.Conv2d(512, 512, 3, padding=1, groups=2), 4),
        (nn.Conv2d(512, 512, 1), 4),
        (nn.Conv2d(64, 64, 3, padding=1), 4),
    ],
)
def test_the_mode_leaves_all_others_alone(
    taken: list[torch.Size], layer: nn.Conv2d, side: int
) -> None:
    maps = _random(1, layer.in_channels, side, side, dtype=torch.float32)
    expected = layer(maps)
    with SmallConvolutions():
        assert torch.equal(layer(maps), expected)
    assert taken == []


def test_the_mode_leaves_lower_precision_alone(taken: list[torch.Size]) -> None:
    layer = nn.Conv2d(512, 256, 3, padding=1)
    with SmallConvolutions(), torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(1, 512, 2, 2)).dtype == torch.bfloat16
    assert taken == []
