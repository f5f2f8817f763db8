"""Augmentations: what a network may see of a frame in an epoch.

An augmentation takes its randomness from the generator that it is given and from nowhere else.
With :func:`generator` what becomes of a frame is a function of the run's seed, the epoch and the
frame: no two workers and no two epochs repeat each other, the number of workers changes nothing,
and a run that is continued sees what an unbroken one sees.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from harness.data.augment.light import Light
from harness.data.augment.warp import Image, Pair, resize_pair

Name = Literal["paper", "light", "none"]


class Augmentation(Protocol):
    """One frame and its mask in, another pair out."""

    def __call__(self, image: Image, mask: Image, rng: np.random.Generator) -> Pair:
        """Augment a frame.

        Args:
            image: uint8 (H, W, 3), RGB; not changed.
            mask: uint8 (H, W), class indices; not changed.
            rng: The only source of randomness.

        Returns:
            tuple: uint8 (S, S, 3) and uint8 (S, S).
        """


def create(name: Name, size: int) -> Augmentation:
    """An augmentation by its name in the settings.

    Args:
        name: ``paper`` (Section 3.2 and the authors' code, :mod:`.augment_paper`), ``light``
            (:mod:`.augment_light`) or ``none``, by which a frame of another size is resized.
        size: Side of the frames that it returns, in pixels.
    """
    if name == "paper":
        # albumentations takes a second to import, and only this recipe needs it.
        from harness.data.augment.paper import Paper

        return Paper(size)
    return Light(size) if name == "light" else _Unchanged(size)


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The source of randomness of one frame in one epoch of a run.

    Args:
        seed: The run's seed.
        epoch: Counted from 0.
        index: The frame's position in the cache.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, index))))


class _Unchanged:
    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, image: Image, mask: Image, rng: np.random.Generator) -> Pair:
        del rng
        return resize_pair(image, mask, self.size)
