"""A drawn stretch of colon with its polyps.

The camera looks along a tube of radius 1, so a pixel at the distance r from the tube's axis shows
the wall 1 / r ahead. That one relation gives perspective, the dark lumen, and folds and vessels
that shrink towards it. Polyps are polygons on the wall, blown up to domes by their distance
transform. Lengths are in half heights of a frame, colours linear RGB from 0 to 1.
"""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

Array = NDArray[Any]
"""Floats; float32 wherever it is as large as a frame."""

TEXTURE_SIDE: Final = 512
"""Side of a texture in pixels; it goes round the tube once and repeats along it."""

SIZES: Final = (0.3, 0.68)
"""Radii of polyps, in half heights. A network at 64 pixels learns the smallest in a few epochs."""

FLAT, PEDUNCULATED, SMALLEST_PIXELS = 0.1, 0.2, 30
# What a polyp's colour is of the wall's, from the least to the most of each: from hardly another to
# plainly redder. A flat one always is redder, since nothing else shows it.
TINTS: Final = (1.02, 0.7, 0.74), (1.12, 0.95, 1.0)
FLAT_TINTS: Final = (1.06, 0.7, 0.74), (1.12, 0.8, 0.84)
VESSEL: Final = np.array([0.32, 0.60, 0.48], np.float32)  # share of light that a vessel takes
RESIDUE: Final = np.array([0.60, 0.42, 0.12], np.float32)
SPOTS: Final = np.array([0.6, 1.2, 1.1], np.float32)  # what a polyp's grain does to each colour
HIGHLIGHT: Final = np.array([1, 1, 0.9], np.float32)  # the light's own colour, a little warm


def draw_texture(rng: np.random.Generator) -> Array:
    """A periodic texture of mucosa, float32 (S, S, 4): mottling, vessels, wetness and relief.

    Vessels run from 0 to 1; the others have standard deviation 1. Relief is how the wall leans
    towards the camera.
    """
    trunks, twigs = (_noise(rng, low, 10 * low, 1.8) for low in (4, 14))
    lines = np.exp(-((trunks / 0.05) ** 2)) + 0.6 * np.exp(-((twigs / 0.1) ** 2))
    vessels = np.clip(lines, 0, 1) * np.clip(0.55 + 0.7 * _noise(rng, 2, 6), 0, 1)
    wet = np.clip(0.35 + _noise(rng, 4, 12), 0, 2) * np.clip(_noise(rng, 24, 96), 0, None)
    uneven = _noise(rng, 5, 80, 1.8)
    relief = np.roll(uneven, -2, axis=0) - np.roll(uneven, 2, axis=0)
    layers = [_noise(rng, 4, 250, 1.5), vessels, wet / wet.std(), relief / relief.std()]
    return np.dstack(layers).astype(np.float32)


def _noise(rng: np.random.Generator, low: float, high: float, slope: float = 1.0) -> Array:
    """Periodic noise of ``low`` to ``high`` waves a side, weaker by f**-slope; deviation 1."""
    spectrum = np.fft.rfft2(rng.standard_normal((TEXTURE_SIDE, TEXTURE_SIDE), np.float32))
    down, across = np.fft.fftfreq(TEXTURE_SIDE), np.fft.rfftfreq(TEXTURE_SIDE)
    waves = (TEXTURE_SIDE * np.hypot(down[:, None], across)).astype(np.float32)
    band = np.exp(-((waves / high) ** 2)) - np.exp(-((waves / low) ** 2))
    field: Array = np.fft.irfft2(spectrum * band / np.maximum(waves, 1) ** slope)
    field /= field.std()
    return field


class Scene:
    """A stretch of colon.

    ``shape`` is that of its frames; ``room`` is how many times as high and wide it is itself, 1 for
    a single frame. ``polyps`` lie in the middle.

    Attributes:
        shape: Height and width of its frames, in pixels.
        light: What it sends to the camera, float32 (H, W, 3), linear RGB.
        mask: bool (H, W), true on polyps.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        texture: Array,
        shape: tuple[int, int],
        *,
        polyps: int,
        room: float = 1.0,
    ) -> None:
        self.rng, self.texture, self.shape, self.half = rng, texture, shape, shape[0] / 2
        rows, columns = (round(room * side) for side in shape)
        middle = np.array([columns, rows]) / shape[0]
        # Nearly as often as not the camera looks at the wall: the lumen lies at the edge or beyond.
        away = rng.uniform(0.1, 0.8) if rng.random() < 0.55 else rng.uniform(0.9, 1.7)
        direction = rng.uniform(0, math.tau)
        self.lumen = middle + away * np.array([1.1 * math.cos(direction), math.sin(direction)])
        red = rng.uniform(0.62, 0.85)
        colour = [red, red * rng.uniform(0.36, 0.62), red * rng.uniform(0.24, 0.52)]
        self.colour = np.array(colour, np.float32)
        y, x = ((np.mgrid[:rows, :columns] + 0.5) / self.half).astype(np.float32)
        surface = self._wall(x - np.float32(self.lumen[0]), y - np.float32(self.lumen[1]))
        self.mask: NDArray[np.bool_] = np.zeros((rows, columns), np.bool_)
        for _ in range(polyps):
            reach = np.array([0.72 * shape[1] / shape[0], 0.72])
            self._add_polyp(surface, middle + rng.uniform(-reach, reach))
        lit = surface[..., :3] * surface[..., 3:4]
        self.light = lit + surface[..., 4:] * HIGHLIGHT

    def _wall(self, x: Array, y: Array) -> Array:
        """The surface without polyps at x, y from the lumen, float32 (H, W, 5).

        Its channels are its colour, the light on it, and the light that it mirrors.
        """
        draws = self.rng.uniform
        around, distance = np.arctan2(y, x), np.hypot(x, y)
        # The tube is not round; near the camera, where the wall is close to a plane, that fades.
        bend = 0.1 * np.cos(2 * around + draws(0, math.tau)) + 0.08 * np.cos(
            3 * around + draws(0, math.tau)
        )
        distance = np.maximum(distance * (1 + bend * np.exp(-(distance**2))), 0.08)
        ahead = 1 / distance
        turned, along = around + draws(0, math.tau), ahead + draws(0, math.tau)
        mottling, vessels, wet, relief = cv2.split(_look_up(self.texture, turned, along))
        slope = 0.13 * relief + _folds(self.rng, turned, along)
        light = _headlight(ahead) * np.clip(1 + slope, 0.12, 1.9)
        colour = self.colour * (1 + 0.09 * mottling[..., None])
        colour *= 1 - draws(0.2, 1.1) * vessels[..., None] * VESSEL
        colour += 0.85 * (RESIDUE - colour) * _smoothstep(draws(1.9, 4.0), 0.4, relief)[..., None]
        # Close to the camera the texture is magnified; a higher level keeps its highlights small.
        level = draws(2.6, 4.4) + 0.9 * _smoothstep(0.7, 0.9, distance)
        shine = _smoothstep(0, 0.35, wet - level + 0.9 * np.clip(slope, -0.6, 0.6))
        return np.dstack([colour, light, shine * _smoothstep(0.25, 0.45, light)])

    def _add_polyp(self, surface: Array, place: Array) -> None:
        """Draw a polyp and its mask, unless hardly any of it can be seen."""
        towards = self.lumen - place
        away = max(0.3, math.hypot(*towards))
        flat = bool(self.rng.random() < FLAT)
        radius = self.half * math.exp(self.rng.uniform(*np.log(SIZES)))
        parts = _outlines(self.rng, towards / away, flat)
        outlines = [self.half * place + radius * part for part in parts]
        # All is done in a window that holds the polyp and its shadow.
        points, margin = np.vstack(outlines), 0.6 * radius
        low, high = np.maximum([points.min(0) - margin, points.max(0) + margin], 0).astype(int)
        window = slice(low[1], high[1]), slice(low[0], high[0])
        shape = np.zeros(self.mask[window].shape, np.float32)
        for outline in outlines:
            right, down = (outline - low).T
            shape[polygon(down, right, shape.shape)] = 1
        if shape.sum() >= SMALLEST_PIXELS:
            self.mask[window] |= shape > 0
            self._paint(surface[window], shape, radius, towards / away, away, flat)

    def _paint(
        self,
        surface: Array,
        shape: Array,
        radius: float,
        lumenwards: Array,
        away: float,
        flat: bool,
    ) -> None:
        """Paint a polyp of a shape, ``away`` from the lumen, over a part of the surface."""
        draws = self.rng.uniform
        y, x = (np.mgrid[: shape.shape[0], : shape.shape[1]] / radius).astype(np.float32)
        own = _look_up(self.texture, x + draws(0, math.tau), y + draws(0, math.tau))
        grain = 0.5 * own[..., 0] + 0.5 * own[..., 3]
        facing = _facing(shape, 0.25 if flat else draws(0.35, 1), lumenwards, radius)
        light = _headlight(1 / max(away, 0.45)) * np.clip(facing, 0.1, 1.3) * (1 + 0.04 * grain)
        tint = draws(*(FLAT_TINTS if flat else TINTS)).astype(np.float32)
        spots = 1 + draws(0.02, 0.08) * grain[..., None] * SPOTS
        # The wall's own pattern goes on over it, most of all over a flat one.
        pattern = 1 + (0.55 if flat else 0.15) * (surface[..., :3] / self.colour - 1)
        shine = _smoothstep(draws(1.03, 1.1), 0.06, facing + 0.015 * grain)
        if flat:
            light, shine = 0.7 * surface[..., 3] + 0.3 * light, 0.6 * surface[..., 4]
        polyp = np.dstack([self.colour * tint * spots * pattern, light, shine])
        # The headlight throws the polyp's shadow on the wall behind it.
        right, down = np.round(0.2 * radius * lumenwards).astype(int)
        shadow = blurred(np.roll(shape, (down, right), (0, 1)), 0.16 * radius)
        surface[..., 3:] *= 1 - (0.1 if flat else draws(0.1, 0.6)) * shadow[..., None]
        cover = blurred(shape, 0.06 * radius if flat else 0.6)[..., None]
        surface += (polyp - surface) * cover


def _outlines(rng: np.random.Generator, lumenwards: Array, flat: bool) -> list[Array]:
    """Polygons (K, 2) about (0, 0): a head of radius 1, uneven and longish, perhaps a stalk."""
    turn = np.linspace(0, math.tau, 40, endpoint=False)
    bumps = [
        rng.uniform(0.02, 0.09) / (order - 1) * np.cos(order * turn + rng.uniform(0, math.tau))
        for order in range(2, 7)
    ]
    longer, angle = rng.uniform(1, 1.26), rng.uniform(0, math.pi)
    head = np.stack([longer * np.cos(turn), np.sin(turn) / longer]) * (1 + sum(bumps))
    cos, sin = math.cos(angle), math.sin(angle)
    outlines = [(np.array([[cos, -sin], [sin, cos]]) @ head).T]
    if not flat and rng.random() < PEDUNCULATED:
        # The stalk comes from the wall on the camera's side and bends a little.
        down = np.linspace(0, rng.uniform(1.5, 2.4), 12)[:, None]
        side = lumenwards[::-1] * (-1, 1)
        spine = rng.uniform(-0.2, 0.2) * down**2 * side - down * lumenwards
        width = 0.3 + 0.03 * down
        outlines.append(np.vstack([spine + width * side, (spine - width * side)[::-1]]))
    return outlines


def _facing(shape: Array, height: float, lumenwards: Array, radius: float) -> Array:
    """How much each part of a dome over a shape faces the light, (H, W): up to about 1.1.

    The dome's profile is a circle's over the distance to the outline. The light comes from the
    camera, so the side towards the lumen lies in the dark.
    """
    distance = cv2.distanceTransform(shape.astype(np.uint8), cv2.DIST_L2, 5)
    depth = distance / distance.max()
    dome = height * distance.max() * np.sqrt(depth * (2 - depth))
    down, right = np.gradient(blurred(dome, 0.12 * radius))
    tilt = 0.45 * (float(lumenwards[0]) * right + float(lumenwards[1]) * down)
    facing: Array = (1 + tilt) / np.sqrt(1 + right**2 + down**2)
    return facing


def _folds(rng: np.random.Generator, around: Array, along: Array) -> Array:
    """Light gained and lost on folds: a bright lip towards the camera, dark behind it."""
    sway = 0.25 * np.sin(2 * around + rng.uniform(0, math.tau))
    sway += 0.16 * np.sin(3 * around + rng.uniform(0, math.tau))
    part, number = np.modf(rng.uniform(0.9, 1.8) * along + sway + 1)

    def reach(fold: Array) -> Array:
        """How high a fold stands: each on another part of the way round."""
        return 0.5 + 0.5 * np.cos(around + 2.4 * fold) + 0.2 * np.cos(2 * around - 2.4 * fold)

    lip = 0.6 * reach(number + 1) * np.exp(-(((1 - part) / 0.30) ** 2))
    dark = 0.85 * reach(number) * np.exp(-part / 0.22)
    slope: Array = rng.uniform(0.15, 1) ** 1.5 * (lip - dark)
    return slope


def _look_up(texture: Array, around: Array, along: Array) -> Array:
    """The texture's channels, (H, W, 4), at angles round the tube and ways along it."""
    scale = TEXTURE_SIDE / math.tau
    columns, rows = (np.mod(scale * part, TEXTURE_SIDE) for part in (around, along))
    return cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _headlight(ahead: Any) -> Any:
    """Light on what lies ``ahead`` tube radii away: 1.25 close by, then falling."""
    return 1.25 / (1 + (ahead / 1.7) ** 2.4) + 0.012


def _smoothstep(low: float, width: float, values: Array) -> Array:
    """From 0 below ``low`` to 1 at ``width`` above it, smoothly."""
    part = np.clip((values - low) / width, 0, 1)
    return part * part * (3 - 2 * part)


def blurred(values: Array, deviation: float) -> Array:
    """Values blurred by a Gaussian of some deviation in pixels, at least 0.3."""
    return cv2.GaussianBlur(values, (0, 0), max(deviation, 0.3))
