"""Dilated convolutions that skip what reads only padding, and are fast where they are depthwise.

DeepLabv3's pyramid has rates of 12, 24 and 36. Of its 27 taps 8 read only zeros on a map of 32 x 32
(images of 256 pixels at an output stride of 8), 16 on one of 16 x 16.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from models.skip_init import SkipInit

Pair = tuple[int, int]

_PADDING: Final = 4
"""More than this, and oneDNN's fast kernel for depthwise convolutions is not taken."""


def skip_padding(network: nn.Module) -> None:
    """Have each dilated convolution of a new network skip what reads only padding."""
    found = {name: m for name, m in network.named_modules() if type(m) is nn.Conv2d and _fits(m)}
    for name, module in found.items():
        with SkipInit():
            made = DilatedConv2d(
                module.in_channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                padding=module.padding,  # type: ignore[arg-type]
                dilation=module.dilation,  # type: ignore[arg-type]
                groups=module.groups,
                bias=module.bias is not None,
            )
        made.weight, made.bias = module.weight, module.bias
        network.set_submodule(name, made)


def _fits(module: nn.Conv2d) -> bool:
    """Whether it is dilated, and its map stays as large as it is."""
    sides = zip(module.kernel_size, module.dilation, strict=True)
    return (
        module.dilation != (1, 1)
        and module.stride == (1, 1)
        and module.padding_mode == "zeros"
        and module.padding == tuple(dilation * (kernel // 2) for kernel, dilation in sides)
        and all(kernel % 2 for kernel in module.kernel_size)
    )


class DilatedConv2d(nn.Conv2d):
    """A dilated convolution of stride 1 and an odd kernel that keeps the size of its map.

    Arguments, weights and output are those of ``nn.Conv2d``.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, O, H, W) of a map (N, C, H, W)."""
        weight = self.weight
        padding = []
        for dim, (kernel, dilation) in enumerate(zip(self.kernel_size, self.dilation, strict=True)):
            # Taps further from the centre than the map is wide read only zeros.
            reach = min(kernel // 2, (input.shape[2 + dim] - 1) // dilation)
            weight = weight.narrow(2 + dim, kernel // 2 - reach, 2 * reach + 1)
            padding.append(reach * dilation)
        pads, dilations = (padding[0], padding[1]), (self.dilation[0], self.dilation[1])
        is_depthwise = self.in_channels == self.out_channels == self.groups
        if not is_depthwise or input.device.type != "cpu" or torch.compiler.is_compiling():
            return functional.conv2d(input, weight, self.bias, 1, pads, dilations, self.groups)
        if self.bias is not None:  # it is there once a batch norm was folded in
            return _convolve(input, weight, self.bias, pads, dilations)
        output: Tensor = _Depthwise.apply(input, weight, pads, dilations)
        return output


class _Depthwise(torch.autograd.Function):
    """A dilated depthwise convolution on a CPU, in place of what oneDNN has no fast kernel for."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def forward(ctx: Any, input: Tensor, weight: Tensor, padding: Pair, dilation: Pair) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.padding, ctx.dilation = padding, dilation
        return _convolve(input, weight, None, padding, dilation)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        (gradient,) = gradients
        input, weight = ctx.saved_tensors
        padding, dilation = ctx.padding, ctx.dilation
        # As for any convolution: towards the input the kernel is flipped, and a tap's gradient is
        # the sum of what it read times the gradient of what it wrote.
        of_input = _convolve(gradient, weight.flip(2, 3), None, padding, dilation)
        of_weight = torch.empty_like(weight)
        height, width = input.shape[2:]
        for row in range(weight.shape[2]):
            for column in range(weight.shape[3]):
                down, right = row * dilation[0] - padding[0], column * dilation[1] - padding[1]
                read = input[..., _overlap(height, down), _overlap(width, right)]
                written = gradient[..., _overlap(height, -down), _overlap(width, -right)]
                of_weight[:, 0, row, column] = (read * written).sum((0, 2, 3))
        return of_input, of_weight, None, None


def _convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, padding: Pair, dilation: Pair
) -> Tensor:
    """The convolution, with as much padding as oneDNN's kernel takes; the rest is added before."""
    taken = [min(side, _PADDING) for side in padding]
    rows, columns = padding[0] - taken[0], padding[1] - taken[1]
    padded = functional.pad(input, (columns, columns, rows, rows)) if rows or columns else input
    return functional.conv2d(padded, weight, bias, 1, taken, dilation, input.shape[1])


def _overlap(size: int, shift: int) -> slice:
    """What a side of a map has in common with itself when it is shifted."""
    return slice(max(0, shift), size + min(0, shift))
