"""Convolutions of very small maps as matrix products, which a CPU computes faster.

Deep in an encoder a map is 2 x 2 to 4 x 4 pixels with 512 channels. There the library spends most
of its time on bringing nine megabytes of weights, and as much of gradients, into its own order and
back. With weights in channels-last order the same sums are plain products of what lies in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_SIDE: Final = 3
_TAPS: Final = [(row, column) for row in range(_SIDE) for column in range(_SIDE)]
_MOST_PIXELS: Final = 16
_FEWEST_WEIGHTS: Final = 512 * 256 * _SIDE**2  # fewer are in order before it matters


class SmallConvolutions(TorchFunctionMode):
    """While it is entered, :func:`small_convolution` takes the convolutions that it is made for.

    All others are left alone: other devices, lower precision, larger maps, fewer weights, and
    kernels that are not 3 x 3 with stride 1 and a padding of 1.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or what stands for it here."""
        del types
        if func is functional.conv2d and not kwargs and _suits(*args):
            return small_convolution(*args[:3])
        return func(*args, **(kwargs or {}))


def small_convolution(images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution of 3 x 3 taps, stride 1 and a padding of 1 by zeros.

    Equal to ``torch.nn.functional.conv2d(images, weight, bias, padding=1)`` up to rounding, in
    value and gradient; fastest with images and weights in channels-last order.

    Args:
        images: (N, C, H, W) of a floating type.
        weight: (D, C, 3, 3).
        bias: (D,).

    Returns:
        Tensor: (N, D, H, W), channels last.
    """
    output: Tensor = _SmallConvolution.apply(images, weight)
    return output if bias is None else output + bias.view(1, -1, 1, 1)


def _suits(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: int = 1,
) -> bool:
    del bias
    return (
        images.device.type == "cpu"
        and images.dtype == weight.dtype == torch.float32
        and images.shape[-2] * images.shape[-1] <= _MOST_PIXELS
        and weight.shape[2:] == (_SIDE, _SIDE)
        and weight.numel() >= _FEWEST_WEIGHTS
        and stride in (1, (1, 1))
        and padding in (1, (1, 1))
        and dilation in (1, (1, 1))
        and groups == 1
        and not torch.is_autocast_enabled("cpu")
    )


class _SmallConvolution(torch.autograd.Function):
    """The product of each pixel's neighbourhood, a row of 9 C values, with the weights."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        batch, _, height, width = images.shape
        neighbourhoods = _neighbourhoods(images)
        ctx.save_for_backward(neighbourhoods, weight)
        ctx.shape = images.shape
        product = neighbourhoods @ _flat(weight).t()
        return product.view(batch, height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        neighbourhoods, weight = ctx.saved_tensors
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, weight.shape[0])
        of_images = of_weight = None
        if ctx.needs_input_grad[0]:
            of_images = _gathered(rows @ _flat(weight), ctx.shape)
        if ctx.needs_input_grad[1]:
            taps = (rows.t() @ neighbourhoods).view(len(weight), _SIDE, _SIDE, -1)
            of_weight = taps.permute(0, 3, 1, 2)
        return of_images, of_weight


def _flat(weight: Tensor) -> Tensor:
    """Weights (D, C, 3, 3) as (D, 9 C), taps before channels: a view in channels-last order."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _neighbourhoods(images: Tensor) -> Tensor:
    """The nine neighbours of each pixel of (N, C, H, W), as (N H W, 9 C)."""
    batch, channels, height, width = images.shape
    padded = functional.pad(images.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    shifted = [padded[:, y : y + height, x : x + width] for y, x in _TAPS]
    return torch.cat(shifted, dim=3).view(batch * height * width, len(_TAPS) * channels)


def _gathered(neighbourhoods: Tensor, shape: Sequence[int]) -> Tensor:
    """The transpose of :func:`_neighbourhoods`: the sum at each pixel of what its taps hold."""
    batch, channels, height, width = shape
    taps = neighbourhoods.view(batch, height, width, len(_TAPS), channels)
    padded = taps.new_zeros(batch, height + 2, width + 2, channels)
    for index, (y, x) in enumerate(_TAPS):
        padded[:, y : y + height, x : x + width] += taps[:, :, :, index]
    return padded[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
