"""What there is to see, and from where."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from harness.data.synthetic.textures import Array

Kind = Literal["sessile", "flat", "pedunculated"]

_KINDS: Final[tuple[Kind, ...]] = ("sessile", "flat", "pedunculated")
_KIND_ODDS: Final = (0.71, 0.09, 0.2)
_HARMONICS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Polyp:
    """A growth on the wall.

    Attributes:
        kind: Its form.
        around: Angle round the tube, in radians.
        along: Way along the tube, in tube radii.
        radius: Of its outline, in tube radii.
        stretch: Longer to shorter axis of its outline.
        turn: Direction of the longer axis, in radians.
        outline: Amplitudes and phases of the outline's harmonics, (K, 2).
        tint: Its colour as a multiple of the mucosa's.
        grain: Strength of its own mottling.
    """

    kind: Kind
    around: float
    along: float
    radius: float
    stretch: float
    turn: float
    outline: tuple[tuple[float, float], ...]
    tint: tuple[float, float, float]
    grain: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A stretch of colon.

    Attributes:
        texture: As :func:`harness.data.synthetic.textures.draw`.
        offset: Where in the texture it begins: angle in radians, way in tube radii.
        colour: Of the mucosa, linear RGB.
        fold_rate: Folds a tube radius.
        fold_depth: Strength of the folds, from 0.
        bends: Amplitudes and phases of the tube's departure from a circle, (K, 2).
        vessels: How plainly the vessels show.
        wetness: How much of the wall glistens, from 0.
        residue: Share of the wall under yellow residue.
        polyps: The polyps on it.
    """

    texture: Array
    offset: tuple[float, float]
    colour: tuple[float, float, float]
    fold_rate: float
    fold_depth: float
    bends: tuple[tuple[float, float], ...]
    vessels: float
    wetness: float
    residue: float
    polyps: tuple[Polyp, ...] = ()


@dataclass(frozen=True, kw_only=True)
class View:
    """From where a scene is seen.

    Attributes:
        lumen: Where the tube's axis meets the image, (x, y) in half heights from its centre.
        roll: Turn of the camera, in radians.
        travel: Way travelled along the tube, in tube radii.
    """

    lumen: tuple[float, float]
    roll: float
    travel: float


def draw_scene(
    rng: np.random.Generator, textures: Sequence[Array], *, polyps: Sequence[Polyp] = ()
) -> Scene:
    """A scene without polyps, or with those given."""
    red = rng.uniform(0.62, 0.85)
    return Scene(
        texture=textures[int(rng.integers(len(textures)))],
        offset=(rng.uniform(0, 2 * math.pi), rng.uniform(0, 6)),
        colour=(red, red * rng.uniform(0.36, 0.62), red * rng.uniform(0.24, 0.52)),
        fold_rate=rng.uniform(0.9, 1.8),
        fold_depth=rng.uniform(0.15, 1.0) ** 1.5,
        bends=_harmonics(rng, 0.14),
        vessels=rng.uniform(0.2, 1.0),
        wetness=rng.uniform(0.0, 0.11),
        residue=max(0.0, rng.uniform(-0.06, 0.05)),
        polyps=tuple(polyps),
    )


def draw_view(rng: np.random.Generator) -> View:
    """A view into the tube, or, as often, at its wall."""
    direction = rng.uniform(0, 2 * math.pi)
    distance = rng.uniform(0.1, 0.8) if rng.random() < 0.55 else rng.uniform(0.9, 1.7)
    return View(
        lumen=(distance * math.cos(direction) * 1.1, distance * math.sin(direction)),
        roll=rng.uniform(0, 2 * math.pi),
        travel=rng.uniform(0, 4),
    )


def draw_polyp(rng: np.random.Generator, view: View, *, aspect: float) -> Polyp:
    """A polyp that lies in a view.

    Args:
        rng: Source of randomness.
        view: From where it is to be seen.
        aspect: Width of the image over its height.
    """
    kind = _KINDS[int(rng.choice(len(_KINDS), p=_KIND_ODDS))]
    for _ in range(50):
        x, y = rng.uniform(-0.72, 0.72) * aspect, rng.uniform(-0.72, 0.72)
        distance = math.hypot(x - view.lumen[0], y - view.lumen[1])
        if distance > 0.3:
            break
    # Sizes in the image are spread evenly over their logarithm, from tiny to filling a third.
    seen = math.exp(rng.uniform(math.log(0.16), math.log(0.68)))
    return Polyp(
        kind=kind,
        around=math.atan2(y - view.lumen[1], x - view.lumen[0]) - view.roll,
        along=view.travel + 1 / max(distance, 0.3),
        radius=seen / max(distance, 0.3),
        stretch=rng.uniform(1, 1.6),
        turn=rng.uniform(0, math.pi),
        outline=_harmonics(rng, 0.09),
        tint=(rng.uniform(1.02, 1.14), rng.uniform(0.68, 0.9), rng.uniform(0.72, 1.0)),
        grain=rng.uniform(0.02, 0.08),
    )


def with_polyps(scene: Scene, polyps: Sequence[Polyp]) -> Scene:
    """The same stretch with other polyps."""
    return dataclasses.replace(scene, polyps=tuple(polyps))


def path(rng: np.random.Generator, view: View, steps: int) -> list[View]:
    """A slow way of the camera through a scene, ``view`` in its middle."""
    time = np.linspace(-1, 1, steps)
    sway = rng.uniform(-0.22, 0.22, 4)
    waves = rng.uniform(1.0, 4.0, 2)
    return [
        View(
            lumen=(
                view.lumen[0] + sway[0] * t + 0.08 * math.sin(waves[0] * t * math.pi),
                view.lumen[1] + sway[1] * t + 0.08 * math.sin(waves[1] * t * math.pi),
            ),
            roll=view.roll + sway[2] * t,
            travel=view.travel + sway[3] * t,
        )
        for t in time
    ]


def _harmonics(rng: np.random.Generator, strength: float) -> tuple[tuple[float, float], ...]:
    """Amplitudes, weaker for the finer ones, and phases of harmonics 2, 3, ..."""
    return tuple(
        (strength * rng.uniform(0.2, 1) / (order - 1), rng.uniform(0, 2 * math.pi))
        for order in range(2, 2 + _HARMONICS)
    )
