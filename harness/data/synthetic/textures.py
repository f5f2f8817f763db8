"""Periodic noise, drawn once and looked up often."""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

HEIGHT: Final = 768
WIDTH: Final = 768
PER_UNIT: Final = WIDTH / (2 * math.pi)
"""Texels a tube radius: the width goes round the tube once."""

COARSE, FINE, VESSELS, GLOSS, RELIEF, HUE = range(6)
"""The channels of a texture."""

_PAD: Final = 3


def noise(rng: np.random.Generator, cells: tuple[int, int]) -> Array:
    """Smooth periodic noise.

    Args:
        rng: Source of randomness.
        cells: Bumps down and across; more of them are finer.

    Returns:
        NDArray: float32 (HEIGHT, WIDTH), mean 0, standard deviation 1, without seams.
    """
    coarse = np.pad(rng.standard_normal(cells).astype(np.float32), _PAD, mode="wrap")
    height, width = (side // count for side, count in zip((HEIGHT, WIDTH), cells, strict=True))
    large = cv2.resize(
        coarse, (coarse.shape[1] * width, coarse.shape[0] * height), interpolation=cv2.INTER_CUBIC
    )
    top, left = _PAD * height, _PAD * width
    cut = large[top : top + HEIGHT, left : left + WIDTH]
    return _standard(cut)


def _standard(field: NDArray[Any]) -> Array:
    """The field at mean 0 and standard deviation 1."""
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def fractal(rng: np.random.Generator, cells: int, octaves: int, gain: float = 0.5) -> Array:
    """Noise on several scales, each twice as fine as the one before and ``gain`` as strong."""
    layers = [gain**i * noise(rng, (cells << i, cells << i)) for i in range(octaves)]
    total = np.sum(layers, axis=0)
    return np.asarray(total / total.std(), np.float32)


def ridges(field: Array, width: float) -> Array:
    """Thin lines, from 0 to 1, where a field passes through zero."""
    return np.asarray(np.exp(-((field / width) ** 2)), np.float32)


def draw(rng: np.random.Generator) -> Array:
    """One texture of mucosa.

    Returns:
        NDArray: float32 (2, HEIGHT, WIDTH, 4), periodic: eight channels in two groups of four, as
        many as OpenCV looks up at a time; the last two are empty. ``VESSELS`` runs from 0 to 1,
        the others have mean 0 and standard deviation 1: coarse and fine mottling, how the wet
        surface leans to the light, how its unevenness does, and slow changes of hue.
    """
    uneven = fractal(rng, 8, 4, gain=0.55)
    relief = np.roll(uneven, -3, axis=0) - np.roll(uneven, 3, axis=0)
    patches = np.clip(0.55 + 0.6 * noise(rng, (6, 6)), 0, 1)
    trunks = ridges(fractal(rng, 6, 4, gain=0.5), 0.05)
    twigs = ridges(fractal(rng, 24, 3, gain=0.5), 0.11)
    clusters = np.clip(0.35 + noise(rng, (8, 12)), 0.0, 2)
    layers = [
        fractal(rng, 6, 3),
        fractal(rng, 48, 3, gain=0.7),
        patches * np.clip(trunks + 0.6 * twigs, 0, 1),
        _standard(clusters * np.clip(noise(rng, (128, 64)) + 0.4 * noise(rng, (48, 32)), 0, None)),
        _standard(relief),
        noise(rng, (4, 4)),
    ]
    empty = [np.zeros_like(uneven)] * 2
    groups = (layers[:4], layers[4:] + empty)
    return np.stack([np.dstack(group) for group in groups]).astype(np.float32)


def look_up(texture: Array, around: Array, along: Array) -> Array:
    """A texture where a surface shows it.

    Args:
        texture: As :func:`draw` gives it.
        around: float32 (H, W), angle round the tube in radians.
        along: float32 (H, W), way along the tube in tube radii.

    Returns:
        NDArray: float32 (H, W, 8), the channels along the last axis.
    """
    # OpenCV wraps coordinates one period at a time, so they are brought into the first here.
    columns = np.mod(around * np.float32(PER_UNIT), np.float32(WIDTH))
    rows = np.mod(along * np.float32(PER_UNIT), np.float32(HEIGHT))
    shown = [
        cv2.remap(group, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        for group in texture
    ]
    return np.dstack(shown).astype(np.float32)
