"""Polyps in front of the wall, and their truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic import textures
from harness.data.synthetic.scene import Polyp, Scene, View
from harness.data.synthetic.textures import Array
from harness.data.synthetic.wall import Grid, Wall, headlight, smoothstep

HEIGHTS: Final = {"sessile": 0.95, "flat": 0.5, "pedunculated": 1.0}
SMALLEST_PIXELS: Final = 30
"""A polyp that shows less is not painted: no reader would mark it."""

_NEAREST: Final = 0.25
_STALK: Final = 0.38
_REACH: Final = 2.6


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a polyp lies in the image.

    Attributes:
        centre: (x, y) in half heights.
        radius: In half heights.
        angle: Direction from the lumen, in radians.
        light: Light on it.
    """

    centre: tuple[float, float]
    radius: float
    angle: float
    light: float


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A polyp on the pixels around it.

    Attributes:
        inside: float32 (H, W), 0 at its centre, 1 on its outline.
        towards: Its own coordinates, (x, y) float32 (H, W) each, in units of its radius, x to the
            lumen.
        pixel: A pixel's width in the same units.
        light: Light on it.
    """

    inside: Array
    towards: tuple[Array, Array]
    pixel: float
    light: float


def paint(
    wall: Wall, scene: Scene, view: View, grid: Grid, visible: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Put a scene's polyps on its wall.

    Args:
        wall: The rendered wall; it is painted on.
        scene: With its polyps.
        view: From where it is seen.
        grid: Where each pixel looks.
        visible: bool (H, W), what the endoscope's aperture leaves free.

    Returns:
        NDArray: Their truth, bool (H, W).
    """
    mask = np.zeros(grid.x.shape, np.bool_)
    for polyp in scene.polyps:
        place = _place(polyp, view)
        window = _window(place, grid) if place else None
        if place is None or window is None:
            continue
        shape = _shape(polyp, place, grid.window(*window))
        outline = (shape.inside < 1) & visible[window]
        if np.count_nonzero(outline) < SMALLEST_PIXELS:
            continue
        _paint(wall.window(*window), scene, polyp, shape)
        mask[window] |= outline
    return mask


def _place(polyp: Polyp, view: View) -> _Place | None:
    """Where a polyp lies in the image, or ``None`` if it is behind the camera."""
    ahead = polyp.along - view.travel
    if ahead < _NEAREST:
        return None
    angle, distance = polyp.around + view.roll, 1 / ahead
    return _Place(
        centre=(
            view.lumen[0] + distance * math.cos(angle),
            view.lumen[1] + distance * math.sin(angle),
        ),
        radius=polyp.radius * distance,
        angle=angle,
        light=float(headlight(np.asarray(ahead, np.float32))),
    )


def _window(place: _Place, grid: Grid) -> tuple[slice, slice] | None:
    """The pixels that a polyp and its shadow can touch, if there are any."""
    pixel, reach = float(grid.y[1, 0] - grid.y[0, 0]), _REACH * place.radius
    bounds = []
    for axis, first in ((1, grid.y[0, 0]), (0, grid.x[0, 0])):
        low = (place.centre[axis] - reach - float(first)) / pixel
        length = grid.x.shape[1 - axis]
        start, stop = max(0, math.floor(low)), min(length, math.ceil(low + 2 * reach / pixel))
        if stop <= start:
            return None
        bounds.append(slice(start, stop))
    return bounds[0], bounds[1]


def _shape(polyp: Polyp, place: _Place, grid: Grid) -> _Shape:
    cos, sin = math.cos(place.angle), math.sin(place.angle)
    x, y = (grid.x - place.centre[0]) / place.radius, (grid.y - place.centre[1]) / place.radius
    towards = (-x * cos - y * sin, x * sin - y * cos)
    inside = _outline(polyp, *towards)
    if polyp.kind == "pedunculated":
        # The stalk comes from the wall, on the side away from the lumen.
        away = np.clip(-towards[0], 0, None)
        across = np.hypot(towards[1] + 0.1 * away**2, np.maximum(0, towards[0]))
        side = across / (_STALK * (1 + 0.3 * np.clip(away - 1, 0, 2)))
        inside = np.minimum(inside, np.hypot(side, np.clip(away - 1.2, 0, None)))
    return _Shape(
        inside=inside.astype(np.float32),
        towards=(towards[0].astype(np.float32), towards[1].astype(np.float32)),
        pixel=float(np.abs(grid.y[1:2, 0] - grid.y[:1, 0]).sum()) / place.radius,
        light=place.light,
    )


def _outline(polyp: Polyp, x: Array, y: Array) -> Array:
    """Distance from the centre, as a share of the outline's in that direction."""
    turn = polyp.turn
    a = (x * math.cos(turn) + y * math.sin(turn)) / math.sqrt(polyp.stretch)
    b = (y * math.cos(turn) - x * math.sin(turn)) * math.sqrt(polyp.stretch)
    direction = np.arctan2(b, a)
    bump = sum(
        amplitude * np.cos(order * direction + phase)
        for order, (amplitude, phase) in enumerate(polyp.outline, start=2)
    )
    return (np.hypot(a, b) / (1 + bump)).astype(np.float32)


def _paint(wall: Wall, scene: Scene, polyp: Polyp, shape: _Shape) -> None:
    """Paint one polyp on the part of the wall around it."""
    soft = 1.2 * shape.pixel
    flat = polyp.kind == "flat"
    cover = 1 - smoothstep(1 - soft - 0.25 * flat, 1 + soft, shape.inside)
    height = HEIGHTS[polyp.kind]
    lean = np.clip(shape.inside, 0, 1) ** 1.5 * height
    up = np.sqrt(np.clip(1 - lean**2, 0.03, 1))
    x, y = shape.towards
    norm = np.maximum(np.hypot(x, y), 1e-3)
    # The headlight comes from the camera's side, so the side to the lumen lies in the dark.
    facing = up - 0.45 * lean * x / norm
    grain = _grain(scene, polyp, shape)
    shade = np.clip(0.25 + 0.88 * facing, 0.12, 1.25) * (1 + 0.5 * polyp.grain * grain)
    own = shape.light * shade
    light = 0.75 * wall.light + 0.35 * own if flat else 1.2 * own
    colour = _colour(wall, scene, polyp, grain)
    wall.albedo[:] = _blend(wall.albedo, colour, cover[..., None])
    wall.light[:] = _blend(wall.light * _shadow(shape, height), light, cover)
    dulled = wall.shine * (0.4 + 0.6 * flat)
    wall.shine[:] = _blend(dulled, _shine(shape, facing, grain), cover)


def _grain(scene: Scene, polyp: Polyp, shape: _Shape) -> Array:
    """The polyp's own mottling, which moves and grows with it; standard deviation about 1."""
    scale = np.float32(0.9)
    x, y = (scale * part for part in shape.towards)
    texture = textures.look_up(
        scene.texture, x + np.float32(polyp.turn), y + np.float32(polyp.along)
    )
    return (0.5 * texture[..., textures.FINE] + 0.9 * texture[..., textures.RELIEF]).astype(
        np.float32
    )


def _colour(wall: Wall, scene: Scene, polyp: Polyp, grain: Array) -> Array:
    tinted = np.asarray(scene.colour, np.float32) * np.asarray(polyp.tint, np.float32)
    spots = 1 + polyp.grain * grain[..., None] * np.asarray((0.6, 1.2, 1.1), np.float32)
    # A little of the wall's own pattern goes on over it.
    pattern = wall.albedo / np.asarray(scene.colour, np.float32)
    share = 0.55 if polyp.kind == "flat" else 0.15
    return (tinted * spots * (1 - share + share * pattern)).astype(np.float32)


def _shadow(shape: _Shape, height: float) -> Array:
    """Light left on the wall around: least behind the polyp, on the side of the lumen."""
    x, y = shape.towards
    near = np.exp(-((np.clip(shape.inside - 1, 0, None) / 0.28) ** 2))
    behind = np.clip(0.45 + 0.55 * x / np.maximum(np.hypot(x, y), 1e-3), 0, 1)
    return np.asarray(1 - 0.75 * height * near * behind, np.float32)


def _shine(shape: _Shape, facing: Array, grain: Array) -> Array:
    """Highlights near the place that faces the light, broken up by the grain."""
    x, y = shape.towards
    spot = np.exp(-(((x + 0.28) ** 2 + y**2) / 0.16))
    return smoothstep(0.95, 1.35, (spot * (0.75 + 0.35 * grain + 0.1 * facing)).astype(np.float32))


def _blend(below: Array, above: Array, cover: Array) -> Array:
    return (below + (above - below) * cover).astype(np.float32)
