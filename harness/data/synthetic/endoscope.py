"""What an endoscope makes of a drawn scene: aperture, vignette, colours, blur and noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.draw import rectangle
from skimage.util import random_noise

from harness.data.synthetic.scene import Array, Scene, blurred

OCTAGON, CIRCLE, ROUNDED, FULL = (1.06, 1.65, 2), (2, 3, 1.08), (1.36, 3, 1.56), (9, 9, 9)
"""Apertures: the largest |x|, |x| + |y| and distance from the centre that can be seen."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the frames of a centre look.

    Attributes:
        aperture: Form of the visible part.
        scale: Frame height as a multiple of the data set's.
        aspect: Width over height.
        gains: Of red, green and blue.
        gamma: Exponent from light to grey value.
        blur: Standard deviation in pixels at a height of 256.
        noise: Standard deviation in grey values.
        display: Whether a green position display covers the lower left corner.
    """

    aperture: tuple[float, float, float] = OCTAGON
    scale: float = 1.0
    aspect: float = 1.25
    gains: tuple[float, float, float] = (0.85, 0.85, 0.85)
    gamma: float = 0.62
    blur: float = 0.6
    noise: float = 2.5
    display: bool = False

    def shape(self, height: int) -> tuple[int, int]:
        """Height and width of its frames, both even, in a data set of that height in pixels."""
        rows = 2 * round(height * self.scale / 2)
        return rows, 2 * round(rows * self.aspect / 2)


LOOKS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        "C1": Look(),
        "C2": Look(aperture=CIRCLE, gains=(0.9, 0.78, 0.72), gamma=0.55, noise=4.5),
        "C3": Look(aperture=ROUNDED, gains=(0.78, 0.85, 0.88), blur=1.0, scale=1.125, aspect=1.4),
        "C4": Look(gains=(1.1, 1.05, 0.79), gamma=0.7),
        "C5": Look(aperture=FULL, gains=(0.9, 0.73, 0.76), blur=0.8, noise=5, aspect=1.33),
        "C6": Look(aperture=CIRCLE, gains=(0.8, 0.83, 0.8), gamma=0.58, scale=1.25),
        "hyperkvasir": Look(aperture=ROUNDED, gains=(0.88, 0.77, 0.68), display=True),
    }
)
"""The centres; no training frame comes from C6."""


def photograph(
    scene: Scene, look: Look, rng: np.random.Generator, *, move: Array | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A frame and its truth.

    ``move`` is an affine map (2, 3) from pixels of the scene to pixels of the frame; by default the
    scene is as large as the frame.

    Returns:
        tuple: uint8 (H, W, 3), RGB, and bool (H, W), true on polyps.
    """
    rows, columns = scene.shape
    light: Array = scene.light
    mask = scene.mask
    if move is not None:
        size = (columns, rows)
        light = cv2.warpAffine(light, move, size, borderMode=cv2.BORDER_REFLECT)
        mask = cv2.warpAffine(mask.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST) > 0
    y, x = np.mgrid[:rows, :columns].astype(np.float32) + 0.5
    x, y = np.abs(2 * x - columns) / rows, np.abs(2 * y - rows) / rows
    side, diagonal, radius = look.aperture
    inside = (x < side) & (x + y < diagonal) & (np.hypot(x, y) < radius)
    vignette = (1 - 0.16 * (x**2 + y**2))[..., None]
    light = blurred(light * vignette * np.array(look.gains, np.float32), look.blur * rows / 256)
    grain = np.zeros((rows, columns), np.float32)
    grain = random_noise(grain, rng=rng, clip=False, var=(look.noise / 255) ** 2)
    grey = cv2.pow(np.clip(light, 0, 1), look.gamma) + blurred(grain, 0.5)[..., None]
    free = blurred(inside.astype(np.float32), 0.7)[..., None]
    image = np.rint(255 * free * np.clip(grey, 0, 1)).astype(np.uint8)
    mask = mask & inside
    if look.display:
        corner = rectangle((round(0.74 * rows), 4), (rows - 5, round(0.26 * rows)))
        image[corner], mask[corner] = (12, 70, 44), False
    return image, mask
