"""What an endoscope makes of a scene: aperture, colours, blur, noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic import polyps, wall
from harness.data.synthetic.scene import Scene, View
from harness.data.synthetic.textures import Array

Aperture = Literal["octagon", "circle", "rounded", "full"]

SHARP: Final = 0.3
"""A blur of a smaller deviation, in pixels, is none."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the frames of a centre look.

    Attributes:
        aperture: Form of the visible part.
        shift: How far right of the image's centre it lies, in half heights.
        scale: Frame height as a multiple of the data set's.
        aspect: Width over height.
        gains: Of red, green and blue.
        gamma: Exponent from light to grey value.
        exposure: Of the light.
        blur: Standard deviation in pixels at a height of 256.
        noise: Standard deviation in grey values.
        black: Grey value outside the aperture.
        guide: Whether a green position display covers the lower left corner.
    """

    aperture: Aperture = "octagon"
    shift: float = 0.0
    scale: float = 1.0
    aspect: float = 1.25
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 0.62
    exposure: float = 0.85
    blur: float = 0.6
    noise: float = 2.0
    black: int = 8
    guide: bool = False


LOOKS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        "C1": Look(),
        "C2": Look(aperture="circle", gains=(1.05, 0.92, 0.85), gamma=0.55, noise=3.5, black=2),
        "C3": Look(aperture="rounded", gains=(0.92, 1.0, 1.04), blur=1.0, scale=1.125, aspect=1.4),
        "C4": Look(shift=0.12, gains=(1.0, 0.96, 0.72), gamma=0.7, exposure=1.1),
        "C5": Look(aperture="full", gains=(1.06, 0.86, 0.9), blur=0.8, noise=4.0, aspect=1.33),
        "C6": Look(aperture="circle", shift=0.1, gains=(0.95, 0.98, 0.95), gamma=0.58, scale=1.25),
        "hyperkvasir": Look(aperture="rounded", gains=(1.04, 0.9, 0.8), guide=True, black=0),
    }
)
"""The centres, C6 among them that no training frame comes from."""


def photograph(
    scene: Scene, view: View, look: Look, *, height: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A frame and its truth.

    Args:
        scene: What there is.
        view: From where.
        look: Through which endoscope.
        height: Frame height of the data set, in pixels, before the look's own scale.
        rng: Source of the sensor's noise.

    Returns:
        tuple: uint8 (H, W, 3), RGB, and bool (H, W), true on polyps.
    """
    rows, columns = frame_shape(look, height)
    grid = wall.Grid.of(rows, columns)
    free = aperture(look, grid)
    seen = wall.render(scene, view, grid)
    mask = polyps.paint(seen, scene, view, grid, free > 0.5)
    light = _develop(seen, look, grid)
    deviation = look.blur * rows / 256
    if deviation > SHARP:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), deviation), np.float32)
    grey = 255 * np.asarray(cv2.pow(np.clip(light, 0, 1), look.gamma), np.float32)
    grey += look.noise * _sensor_noise(rng, rows, columns)[..., None]
    grey = look.black + (grey - look.black) * free[..., None]
    image = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    if look.guide:
        mask &= ~_draw_guide(image)
    return image, mask


def frame_shape(look: Look, height: int) -> tuple[int, int]:
    """Height and width of a look's frames, in pixels; both are even."""
    rows = 2 * round(height * look.scale / 2)
    return rows, 2 * round(rows * look.aspect / 2)


def aperture(look: Look, grid: wall.Grid) -> Array:
    """What the endoscope leaves free: float32 (H, W), 1 inside, 0 outside, a soft edge."""
    x, y = np.abs(grid.x - look.shift), np.abs(grid.y)
    width = 0.97 * (float(grid.x.max()) - abs(look.shift))
    pixel = float(grid.y[1, 0] - grid.y[0, 0])
    if look.aperture == "full":
        return np.ones_like(grid.x)
    if look.aperture == "circle":
        over = np.maximum(np.hypot(x, y) - 1.08, y - 0.985)
    elif look.aperture == "octagon":
        width = min(width, 1.06)
        over = np.maximum.reduce([x - width, y - 0.97, (x + y - width - 0.97 + 0.38) / 1.4142])
    else:
        corner = 0.22
        beyond = np.maximum(x - width + corner, 0), np.maximum(y - 0.97 + corner, 0)
        over = np.hypot(*beyond) - corner
    return (1 - wall.smoothstep(-pixel, pixel, over.astype(np.float32))).astype(np.float32)


def _develop(seen: wall.Wall, look: Look, grid: wall.Grid) -> Array:
    """Light on the sensor, float32 (H, W, 3)."""
    vignette = 1 - 0.16 * ((grid.x - look.shift) ** 2 + grid.y**2)
    lit = seen.albedo * (look.exposure * vignette * seen.light)[..., None]
    lit = lit * np.asarray(look.gains, np.float32)
    # Highlights saturate towards the light's own colour, a little warm.
    mirrored = seen.shine[..., None] * np.asarray((1.0, 1.0, 0.9), np.float32)
    return (lit + mirrored).astype(np.float32)


def _sensor_noise(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Grain of about a pixel and a half; standard deviation 1."""
    grain = rng.standard_normal((rows, columns), np.float32)
    smooth = np.asarray(cv2.GaussianBlur(grain, (3, 3), 0.6), np.float32)
    return np.asarray(smooth / smooth.std(), np.float32)


def _draw_guide(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Cover the lower left corner with a position display; where it lies."""
    rows, columns = image.shape[:2]
    side = round(0.26 * rows)
    covered = np.zeros((rows, columns), np.bool_)
    covered[rows - side : rows - 4, 4:side] = True
    image[covered] = (12, 70, 44)
    curve = np.linspace(0, 1, 40)
    x = 4 + (side - 4) * (0.5 + 0.32 * np.sin(5.2 * curve))
    y = rows - side + (side - 4) * (0.12 + 0.76 * curve)
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(image, [points], isClosed=False, color=(210, 220, 90), thickness=2)
    return covered
