"""Test-time augmentation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.inference.tta import average_views, scaled_sides


def corner(images: Tensor) -> Tensor:
    """Says that the upper left quarter is polyp, whatever it is shown."""
    polyp = torch.zeros(len(images), 1, *images.shape[2:])
    polyp[..., : images.shape[2] // 2, : images.shape[3] // 2] = 1.0
    return torch.cat([1 - polyp, polyp], dim=1)


def test_flips_and_sizes_are_averaged() -> None:
    polyp = average_views(corner, torch.zeros(1, 3, 64, 64))[0, 1]

    # Turned back, each flip votes for a quarter of its own; both sizes for the upper left one.
    quarters = [polyp[8, 8], polyp[8, 56], polyp[56, 8], polyp[56, 56]]
    assert [float(value) for value in quarters] == pytest.approx([3 / 6, 1 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize(
    ("size", "sides"),
    [(32, (64,)), (64, (32, 96)), (96, (64, 128)), (128, (96, 160)), (160, (128, 192)),
     (224, (160, 288)), (256, (192, 320)), (512, (384, 640))],
)  # fmt: skip
def test_sizes_are_multiples_of_32_apart_from_the_networks_own(
    size: int, sides: tuple[int, ...]
) -> None:
    assert scaled_sides(size) == sides


@pytest.mark.parametrize("size", [32, 64, 96])
def test_no_view_counts_twice(size: int) -> None:
    seen = []

    def predict(images: Tensor) -> Tensor:
        seen.append(images.shape[-1])
        return images[:, :2]

    average = average_views(predict, torch.full((1, 3, size, size), 0.5))

    assert seen.count(size) == 4  # the flips
    assert len(set(seen)) == len(seen) - 3
    assert torch.allclose(average, torch.tensor(0.5))
