"""The paper's augmentations, by albumentations.

In the authors' order: horizontal flip 0.5; scale by 0.5 to 1.5 and shift by up to a tenth of the
side; pad and resize to the network's size; additive Gaussian noise 0.2; perspective 0.5; one of
CLAHE, brightness and gamma 0.9; one of sharpening, blur 3 and motion blur 3 0.9; one of contrast
and hue-saturation-value 0.9. They used albumentations 0.5 with imgaug; here the transforms are
those of albumentations 2.0.8 with 0.5's default ranges. The differences:

* All of it works at network size. Frames come resized from the cache, so padding and resizing,
  which do nothing to a frame of that size, are left out.
* Flip, shift-scale and perspective are one warp, so a frame is interpolated once instead of twice,
  and noise comes after the perspective instead of before it. The geometry is the same: the
  perspective looks at a part of the shifted frame and never beyond its border.
* Masks are warped by nearest neighbour. imgaug interpolated them linearly.
* Noise has a deviation of 0.01 to 0.05 of the range, the same in all three channels (imgaug's
  ``AdditiveGaussianNoise`` with ``per_channel=False``), rounded to whole grey values.
* A corner's displacement in the perspective is a normal draw modulo 0.32 of the side, not 0.5,
  which concerns one corner in several hundred.
* A motion blur's line is drawn from an angle, a direction and a shift. Albumentations 0.5 joined
  two random cells of the 3 x 3 kernel.

Brightness, gamma, CLAHE (clip limit 1 to 4, 8 x 8 tiles, on the lightness of Lab), sharpening
(3 x 3 kernel), blur, contrast and hue-saturation-value are the same transforms under their present
names.
"""

from __future__ import annotations

import math
import os
import random
from typing import Any, Final

# Importing albumentations asks the network for its newest version unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from harness.data.augment.warp import Image, Pair, add_noise, resize_pair, warp

FLIP: Final = 0.5
SCALE: Final = (0.5, 1.5)
SHIFT: Final = 0.1
NOISE: Final = (0.01 * 255, 0.05 * 255)
NOISE_P: Final = 0.2
PERSPECTIVE: Final = (0.05, 0.1)
PERSPECTIVE_P: Final = 0.5
ONE_OF_P: Final = 0.9

_BLUR: Final = 3  # side of the kernels, in pixels
_CORNER_MODULO: Final = 0.32
_CORNERS: Final = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)
_SEEDS: Final = 2**63


class Paper:
    """The paper's augmentation, to frames of ``size`` x ``size`` pixels; see the module."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.colours = colours()

    def __call__(self, image: Image, mask: Image, rng: np.random.Generator) -> Pair:
        """As :class:`harness.data.augment.create.Augmentation`."""
        image, mask = resize_pair(image, mask, self.size)
        warped, mask = warp(image, mask, geometry(rng, self.size), self.size)
        image = np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
        # Transforms get this generator and ``rng``. Their own, and that of an A.Compose, would be
        # copied into every worker process, and all workers would draw the same.
        draws = random.Random(int(rng.integers(_SEEDS)))
        if draws.random() < NOISE_P:
            image = add_noise(image, draws.uniform(*NOISE), rng)
        for one_of in self.colours:
            if draws.random() < ONE_OF_P:
                transform = one_of[draws.randrange(len(one_of))]
                transform.set_random_state(rng, draws)
                image = transform(image=image)["image"]
        return image, mask


class MotionBlur(A.MotionBlur):  # type: ignore[misc]  # ships no types
    """Albumentations' motion blur of 3 x 3 pixels, from the same draws, with the same kernels.

    The kernel's line has three points, for which NumPy's array routines take longer than the blur.
    """

    def get_params(self) -> dict[str, Any]:
        """A kernel, float32 (3, 3) with the sum 1: a line at an angle, to one side or to both."""
        draw, reach = self.py_random.uniform, _BLUR // 2
        angle = math.radians(draw(*self.angle_range))
        direction = draw(*self.direction_range)
        right, down = (draw(-1, 1) * reach / 2 for _ in range(2))
        start, end = -reach * (1 - max(0.0, direction)), reach * (1 + min(0.0, direction))
        kernel = np.zeros((_BLUR, _BLUR), dtype=np.float32)
        for along in (start, (start + end) / 2, end):
            x = round(reach + math.cos(angle) * along + right)
            y = round(reach + math.sin(angle) * along + down)
            kernel[min(max(y, 0), _BLUR - 1), min(max(x, 0), _BLUR - 1)] = 1
        return {"kernel": kernel / kernel.sum()}


def colours() -> tuple[tuple[A.ImageOnlyTransform, ...], ...]:
    """Groups of colour and sharpness transforms, in the authors' order; one of each is drawn.

    A.OneOf would draw it too, but takes as long for that as a cheap transform.
    """
    return (
        (
            A.CLAHE(clip_limit=4.0, tile_grid_size=(8, 8), p=1),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0, p=1),
            A.RandomGamma(gamma_limit=(80, 120), p=1),
        ),
        (
            A.Sharpen(alpha=(0.2, 0.5), lightness=(0.5, 1.0), method="kernel", p=1),
            A.Blur(blur_limit=_BLUR, p=1),
            MotionBlur(blur_limit=_BLUR, p=1),
        ),
        (
            A.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.2, p=1),
            A.HueSaturationValue(hue_shift_limit=20, sat_shift_limit=30, val_shift_limit=20, p=1),
        ),
    )


def geometry(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Flip, shift-scale and perspective as one map, (3, 3), from input to output pixels."""
    flip, perspective, *where = rng.random(5).tolist()
    matrix = _shift_scale(side, *where)
    if flip < FLIP:
        matrix = matrix @ np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]])
    if perspective < PERSPECTIVE_P:
        matrix = _perspective(rng, side) @ matrix
    return matrix


def _shift_scale(side: int, size: float, right: float, down: float) -> NDArray[np.float64]:
    """Scale about the centre and shift, from three draws in [0, 1)."""
    scale = SCALE[0] + (SCALE[1] - SCALE[0]) * size
    about = (1 - scale) * (side - 1) / 2
    across, along = (SHIFT * (2 * draw - 1) * side + about for draw in (right, down))
    return np.array([[scale, 0, across], [0, scale, along], [0, 0, 1]])


def _perspective(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Move each corner inwards by a half-normal draw and stretch the result to the frame again."""
    deviation = rng.uniform(*PERSPECTIVE)
    inwards = np.mod(np.abs(rng.normal(0, deviation, (4, 2))), _CORNER_MODULO)
    moved = (_CORNERS + inwards * (1 - 2 * _CORNERS)) * side
    matrix = cv2.getPerspectiveTransform(
        moved.astype(np.float32), (_CORNERS * side).astype(np.float32)
    )
    return np.asarray(matrix, np.float64)
