"""From a probability map at the network's size to a mask at the frame's own."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Rounding = Literal["full-size", "network-size"]
"""Where probabilities become 0 or 1: ``full-size`` brings them to the frame's own size first;
``network-size`` rounds them as they are, brings that mask to the frame's size and cuts it at one
half, as the paper's authors do."""

THRESHOLD: Final = 0.5  # averaged, then rounded to 0 or 1 (paper, Section 2.2); a tie is background


def full_mask(
    probability: NDArray[np.float32], size: tuple[int, int], rounding: Rounding
) -> NDArray[np.bool_]:
    """The mask of one frame, bool (H, W).

    Args:
        probability: float32 (S, S), of the polyp class.
        size: Height and width wanted.
        rounding: See :data:`Rounding`.
    """
    if rounding == "network-size":
        probability = (probability > THRESHOLD).astype(np.float32)
    mask: NDArray[np.bool_] = resize_map(probability, height=size[0], width=size[1]) > THRESHOLD
    return mask


def full_mask_on_device(probability: Tensor, size: tuple[int, int], rounding: Rounding) -> Tensor:
    """As :func:`full_mask`, on the device that the probabilities are on.

    Args:
        probability: float32 (S, S).
        size: Height and width wanted.
        rounding: See :data:`Rounding`.
    """
    if rounding == "network-size":
        probability = (probability > THRESHOLD).float()
    resized = functional.interpolate(
        probability[None, None], size, mode="bilinear", align_corners=False
    )
    return resized[0, 0] > THRESHOLD


def resize_map(probability: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """A probability map at another size, bilinearly (paper, Section 3.2).

    Args:
        probability: float32 (S, S).
        height: Rows wanted.
        width: Columns wanted.

    Returns:
        NDArray: float32 (height, width).
    """
    resized = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)
