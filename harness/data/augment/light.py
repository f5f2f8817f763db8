"""Cheap augmentations for short trainings from scratch.

Flips, quarter turns, rotation, scale, aspect, shear and shift in one warp; brightness, contrast,
saturation, hue and white balance in one colour matrix; on a tenth of the frames each gamma, blur
and noise. A few tens of microseconds at 128 pixels.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.data.augment.warp import Image, Pair, add_noise, resize_pair, warp

_GREY: Final = np.full((3, 3), 1 / 3)
_HUE_AXIS: Final = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)


class Light:
    """The light augmentation; see the module.

    Ranges are half widths around no change: 0.3 of contrast is a factor of e**-0.3 to e**0.3.

    It returns frames of ``size`` x ``size`` pixels.
    """

    rotation = math.radians(25)
    scale = (0.6, 1.5)
    aspect = 0.15
    shear = 0.05
    shift = 0.15
    contrast = 0.3
    brightness = 30
    saturation = 0.3
    hue = math.radians(10)
    balance = 0.1
    gamma = 0.35
    noise = 8
    rarely = 0.1

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, image: Image, mask: Image, rng: np.random.Generator) -> Pair:
        """As :class:`harness.data.augment.create.Augmentation`."""
        # One call draws all numbers: a call costs more than most of what follows.
        draws = rng.random(24)
        if image.shape[0] > self.size:  # a training whose input grows; by area, without aliasing
            image, mask = resize_pair(image, mask, self.size)
        matrix = self._geometry(draws[:10], image.shape[0])
        if abs(np.linalg.det(matrix[:2, :2])) < 0.25:
            # Shrinks to less than half the side, where bilinear sampling would skip pixels.
            side, half = image.shape[0], image.shape[0] // 2
            image, mask = resize_pair(image, mask, half)
            matrix = matrix @ _unhalve(side, half)
        warped, mask = warp(image, mask, matrix, self.size)
        return self._finish(self._colour(warped, draws[10:18]), draws[18:], rng), mask

    def _geometry(self, draws: NDArray[np.float64], side: int) -> NDArray[np.float64]:
        """The map from pixels of a frame of ``side`` to pixels of the output, (3, 3)."""
        flips = np.where(draws[:2] < 0.5, -1.0, 1.0)
        low, high = np.log(self.scale)
        scale = math.exp(low + (high - low) * draws[2]) * self.size / side
        wide = math.exp(self.aspect * _signed(draws[3]))
        angle = math.floor(4 * draws[4]) * math.pi / 2 + self.rotation * _signed(draws[5])
        cos, sin = math.cos(angle), math.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]]) @ np.array(
            [[1.0, self.shear * _signed(draws[6])], [self.shear * _signed(draws[7]), 1.0]]
        )
        # A row of factors scales the columns: flips and aspect act before the rotation.
        linear = scale * linear * (flips * (wide, 1 / wide))
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        shift = self.shift * self.size * np.array([_signed(draws[8]), _signed(draws[9])])
        matrix[:2, 2] = (self.size - 1) / 2 + shift - linear @ np.full(2, (side - 1) / 2)
        return matrix

    def _colour(self, image: Image, draws: NDArray[np.float64]) -> Image:
        """All linear changes of colour in one matrix; the fourth channel is dropped."""
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
        contrast = math.exp(self.contrast * _signed(draws[0]))
        saturation = 1 + self.saturation * _signed(draws[1])
        angle = self.hue * _signed(draws[2])
        # A rotation about the grey axis (Rodrigues) keeps brightness and turns the hue.
        turned = (
            np.eye(3) * math.cos(angle)
            + math.sin(angle) * _HUE_AXIS
            + (1 - math.cos(angle)) * _GREY
        )
        colour = (_GREY + saturation * (np.eye(3) - _GREY)) @ turned
        gains = contrast * (1 + self.balance * (2 * draws[3:6] - 1))
        matrix = np.empty((3, 4))
        matrix[:, :3] = gains[:, None] * colour
        # Contrast pivots about a grey of 90, the middle of an endoscope's dark frames.
        matrix[:, 3] = 90 * (1 - contrast) + self.brightness * _signed(draws[6])
        return np.asarray(cv2.transform(image, matrix), dtype=np.uint8)

    def _finish(self, image: Image, draws: NDArray[np.float64], rng: np.random.Generator) -> Image:
        """Gamma, blur and noise, each on a tenth of the frames."""
        if draws[0] < self.rarely:
            power = math.exp(self.gamma * _signed(draws[1]))
            curve = 255 * (np.arange(256) / 255) ** power
            image = np.asarray(cv2.LUT(image, curve.round().astype(np.uint8)), dtype=np.uint8)
        if draws[2] < self.rarely:
            image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0.5 + draws[3]), dtype=np.uint8)
        if draws[4] < self.rarely:
            image = add_noise(image, self.noise * float(draws[5]), rng)
        return image


def _signed(draw: float) -> float:
    """Map a draw from [0, 1) to [-1, 1)."""
    return 2 * float(draw) - 1


def _unhalve(side: int, half: int) -> NDArray[np.float64]:
    """The map from pixels of the halved frame to pixels of the whole one, (3, 3)."""
    ratio = side / half
    return np.array([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2], [0, 0, 1]])
