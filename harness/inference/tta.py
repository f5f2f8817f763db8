"""Test-time augmentation: the mean over flips and sizes of the same frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

FLIPS: Final = ((), (3,), (2,), (2, 3))
"""Axes of (N, C, H, W) that are flipped: none, left and right, up and down, both."""

SCALES: Final = (0.75, 1.25)
"""Further input sizes as shares of the network's own, see :func:`scaled_sides`."""

_MULTIPLE: Final = 32  # of pixels; encoders halve the image five times


def average_views(predict: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Probabilities averaged over four flips and up to two further sizes.

    Args:
        predict: Probabilities (N, C, H, W) of images (N, 3, H, W).
        images: (N, 3, S, S) float, on the scale that ``predict`` takes.

    Returns:
        Tensor: (N, C, S, S) float32.
    """
    total = torch.zeros((), device=images.device)
    for flips in FLIPS:
        total = predict(images.flip(flips)).flip(flips) + total
    sides = scaled_sides(images.shape[-1])
    for side in sides:
        scaled = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        total += functional.interpolate(
            predict(scaled), images.shape[2:], mode="bilinear", antialias=True
        )
    return total / (len(FLIPS) + len(sides))


def scaled_sides(size: int) -> tuple[int, ...]:
    """The further input sizes, multiples of 32 as the encoders need them.

    Each is the multiple nearest to its share of the network's size, a multiple itself, but at least
    one away from that size: otherwise the plain view would count twice. At a size of 32 there is no
    smaller one.
    """
    smaller, larger = (round(size * scale / _MULTIPLE) * _MULTIPLE for scale in SCALES)
    sides = (min(smaller, size - _MULTIPLE), max(larger, size + _MULTIPLE))
    return tuple(side for side in sides if side >= _MULTIPLE)
