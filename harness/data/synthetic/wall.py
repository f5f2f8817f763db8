"""The wall of the tube under a headlight.

The camera looks along the tube, so a pixel at the distance r from the tube's axis shows the wall
1 / r tube radii ahead. That one relation gives perspective, the dark lumen, and textures that move
as a camera's would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic import textures
from harness.data.synthetic.scene import Scene, View
from harness.data.synthetic.textures import Array

RED_VESSEL: Final = (0.32, 0.60, 0.48)
HUE_CHANGE: Final = (0.02, -0.10, -0.16)
RESIDUE: Final = (0.60, 0.42, 0.12)
NEAREST_AXIS: Final = 0.08
LIGHT_REACH: Final = 1.7


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where each pixel looks.

    Attributes:
        x: float32 (H, W), half heights to the right of the centre.
        y: float32 (H, W), half heights below it.
    """

    x: Array
    y: Array

    def window(self, rows: slice, columns: slice) -> Grid:
        """A part of the grid."""
        return Grid(x=self.x[rows, columns], y=self.y[rows, columns])

    @classmethod
    def of(cls, height: int, width: int) -> Grid:
        """The grid of an image."""
        x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / (height / 2)
        y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / (height / 2)
        columns, rows = np.meshgrid(x, y)
        return cls(x=columns.astype(np.float32), y=rows.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Wall:
    """A rendered wall.

    Attributes:
        albedo: float32 (H, W, 3), its colour before light.
        light: float32 (H, W), the light on it.
        shine: float32 (H, W), mirrored light, from 0 to 1.
    """

    albedo: Array
    light: Array
    shine: Array

    def window(self, rows: slice, columns: slice) -> Wall:
        """A part of the wall, sharing its memory."""
        return Wall(
            albedo=self.albedo[rows, columns],
            light=self.light[rows, columns],
            shine=self.shine[rows, columns],
        )


def render(scene: Scene, view: View, grid: Grid) -> Wall:
    """The wall of a scene as a camera of its own light sees it."""
    around, distance = _polar(scene, view, grid)
    ahead = (1 / distance).astype(np.float32)
    along = (ahead + view.travel).astype(np.float32)
    turned = around - np.float32(view.roll) + np.float32(scene.offset[0])
    texture = textures.look_up(scene.texture, turned, along + np.float32(scene.offset[1]))
    slope = _folds(scene, turned, along, texture[..., textures.COARSE])
    slope += 0.13 * texture[..., textures.RELIEF]
    light = headlight(ahead) * np.clip(1 + slope, 0.12, 1.9)
    return Wall(
        albedo=_albedo(scene, texture),
        light=light.astype(np.float32),
        shine=_shine(scene, texture[..., textures.GLOSS], light, slope, distance),
    )


def headlight(ahead: NDArray[np.float32]) -> Array:
    """Light on what lies ``ahead`` tube radii away; 1 close by, falling with the square."""
    return np.asarray(1.25 / (1 + (ahead / LIGHT_REACH) ** 2.4) + 0.012, np.float32)


def axis_distance(view: View, grid: Grid) -> tuple[Array, Array]:
    """Offset of each pixel from where the tube's axis meets the image, x and y."""
    return (
        (grid.x - view.lumen[0]).astype(np.float32),
        (grid.y - view.lumen[1]).astype(np.float32),
    )


def smoothstep(low: float, high: float, values: Array) -> Array:
    """From 0 below ``low`` to 1 above ``high``, smoothly."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)


def _polar(scene: Scene, view: View, grid: Grid) -> tuple[Array, Array]:
    """Angle round the axis and distance from it, bent as the tube is."""
    x, y = axis_distance(view, grid)
    around = np.arctan2(y, x)
    distance = np.hypot(x, y)
    # The bends fade near the camera, where the wall is close to a plane.
    bend = sum(
        amplitude * np.cos(order * (around - view.roll) + phase)
        for order, (amplitude, phase) in enumerate(scene.bends, start=2)
    )
    bent = distance * (1 + bend * np.exp(-(distance**2)))
    return around.astype(np.float32), np.maximum(bent, NEAREST_AXIS).astype(np.float32)


def _folds(scene: Scene, around: Array, along: Array, coarse: Array) -> Array:
    """Light gained and lost on folds: a bright lip towards the camera, dark behind it."""
    sway = 0.25 * np.sin(2 * around + scene.bends[0][1]) + 0.16 * np.sin(
        3 * around + scene.bends[1][1]
    )
    phase = scene.fold_rate * along + sway + 0.10 * coarse
    number = np.floor(phase)
    part = phase - number
    lip = 0.6 * _reach(scene, around, number + 1) * np.exp(-(((1 - part) / 0.30) ** 2))
    shade = 0.85 * _reach(scene, around, number) * np.exp(-part / 0.22)
    return np.asarray(scene.fold_depth * (lip - shade), np.float32)


def _reach(scene: Scene, around: Array, number: Array) -> Array:
    """How far each fold comes round the wall: each on another part of it."""
    turns = 2.4 * number + scene.offset[0]
    reach = 0.5 + 0.5 * np.cos(around + turns) + 0.2 * np.cos(2 * around - turns)
    return np.asarray(reach, np.float32)


def _albedo(scene: Scene, texture: Array) -> Array:
    mottling = 1 + 0.09 * texture[..., textures.COARSE] + 0.035 * texture[..., textures.FINE]
    vessels = scene.vessels * texture[..., textures.VESSELS]
    hue = np.tanh(0.7 * texture[..., textures.HUE])[..., None]
    colour = np.asarray(scene.colour, np.float32) * mottling[..., None]
    colour = colour * (1 + hue * np.asarray(HUE_CHANGE, np.float32))
    colour = colour * (1 - vessels[..., None] * np.asarray(RED_VESSEL, np.float32))
    if scene.residue > 0:
        # Noise of standard deviation 1 is above this in the wanted share of the wall.
        level = math.sqrt(2) * _inverse_tail(scene.residue)
        field = 0.9 * texture[..., textures.RELIEF] + 0.4 * texture[..., textures.FINE]
        cover = 0.85 * smoothstep(level, level + 0.35, field)[..., None]
        colour = colour * (1 - cover) + np.asarray(RESIDUE, np.float32) * cover
    return np.asarray(colour, np.float32)


def _shine(scene: Scene, gloss: Array, light: Array, slope: Array, distance: Array) -> Array:
    """Mirrored light where the wet surface leans to the camera."""
    # Close to the camera the texture is magnified; a higher level keeps its highlights small.
    level = 3.8 - 14 * scene.wetness + 0.9 * smoothstep(0.7, 1.6, distance)
    spots = smoothstep(0, 0.35, gloss - level + 0.9 * np.clip(slope, -0.6, 0.6))
    return np.asarray(spots * smoothstep(0.25, 0.7, light), np.float32)


def _inverse_tail(share: float) -> float:
    """The x with erfc(x) / 2 = ``share``, to within a few percent."""
    root = math.sqrt(-2 * math.log(max(share, 1e-6)))
    return (root - (2.307 + 0.2706 * root) / (1 + 0.9923 * root + 0.0448 * root**2)) / math.sqrt(2)
