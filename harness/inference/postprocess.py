"""Each pixel's class at the frame's own size, from probability maps at the network's size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from metrics.masks.class_indices import Labels

DecisionSize = Literal["full-size", "network-size"]
"""The size at which each pixel's class is decided. ``full-size`` resizes the probabilities to the
frame's own size first. ``network-size`` decides at the network's size, resizes each class's mask
to the frame's size and decides again (a single class is cut at one half), as the paper's authors
do."""

THRESHOLD: Final = 0.5  # averaged, then rounded to 0 or 1 (paper, Section 2.2); a tie is background


def upsample_and_decide(
    probabilities: NDArray[np.float32],
    size: tuple[int, int],
    rounding: DecisionSize,
    threshold: float = THRESHOLD,
) -> Labels:
    """Each pixel's class in one frame, (H, W): bool for one class, else uint8 class indices.

    Args:
        probabilities: float32 (K, S, S) of the K foreground classes.
        size: Height and width wanted.
        rounding: See :data:`DecisionSize`.
        threshold: A pixel is of a single class above it; several classes have none.
    """
    if rounding == "network-size":
        indices = np.arange(1, 1 + len(probabilities))[:, None, None]
        decided = argmax_labels(probabilities, threshold)
        probabilities, threshold = (decided == indices).astype(np.float32), THRESHOLD
    height, width = size
    resized = [resize_map(one, height=height, width=width) for one in probabilities]
    return argmax_labels(resized, threshold)


def upsample_and_decide_on_device(
    probabilities: Tensor,
    size: tuple[int, int],
    rounding: DecisionSize,
    threshold: float = THRESHOLD,
) -> Tensor:
    """As :func:`upsample_and_decide`, on the device that the probabilities are on."""
    if rounding == "network-size":
        indices = torch.arange(1, 1 + len(probabilities), device=probabilities.device)
        decided = _most_probable_on_device(probabilities, threshold)
        probabilities, threshold = (decided == indices[:, None, None]).float(), THRESHOLD
    resized = functional.interpolate(
        probabilities[None], size, mode="bilinear", align_corners=False
    )
    return _most_probable_on_device(resized[0], threshold)


def argmax_labels(
    probabilities: Iterable[NDArray[np.float32]], threshold: float = THRESHOLD
) -> Labels:
    """Each pixel's most probable class; among equals the background, then the first.

    The background's probability is 1 minus the others'. With a single class that is the paper's
    mean rounded at one half (p > 1 - p exactly where p > 1/2, in floating point too).

    Of the probabilities of each foreground class, float32 (H, W), it makes labels (H, W): bool for
    one class, where the threshold counts, else uint8 class indices.
    """
    maps = list(probabilities)
    if len(maps) == 1:
        return maps[0] > threshold
    stacked = np.stack(maps)
    every = np.concatenate([1 - stacked.sum(axis=0, keepdims=True), stacked])
    indices: NDArray[np.uint8] = every.argmax(axis=0).astype(np.uint8)
    return indices


def _most_probable_on_device(probabilities: Tensor, threshold: float) -> Tensor:
    if len(probabilities) == 1:
        return probabilities[0] > threshold
    background = 1 - probabilities.sum(dim=0, keepdim=True)
    return torch.cat([background, probabilities]).argmax(dim=0).to(torch.uint8)


def resize_map(probability: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """A probability map (S, S), float32, at another size, bilinearly (paper, Section 3.2)."""
    resized = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)
