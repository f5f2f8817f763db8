"""The augmentations by name, and the random generator of each frame.

An augmentation takes its randomness from the generator that it is given and from nowhere else.
With :func:`generator` the result is a function of the run's seed, the epoch and the frame: no two
workers and no two epochs repeat each other, the number of workers changes nothing, and a run that
is resumed sees what an unbroken one sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from harness.data.augment.light import Light
from harness.data.augment.warp import Image, Pair, resize_pair
from metrics.utils.validation import look_up


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


def _paper(size: int) -> Augmentation:
    """Section 3.2 of the paper and the authors' code, see :mod:`harness.data.augment.paper`."""
    # albumentations takes a second to import, and only this augmentation needs it.
    from harness.data.augment.paper import Paper

    return Paper(size)


def _none(size: int) -> Augmentation:
    """No augmentation; a frame of another size is resized."""

    def resize(image: Image, mask: Image, rng: np.random.Generator) -> Pair:
        del rng
        return resize_pair(image, mask, size)

    return resize


AUGMENTATIONS: Final[Mapping[str, Callable[[int], Augmentation]]] = MappingProxyType(
    {"paper": _paper, "light": Light, "none": _none}
)
"""By name, functions from the side of the network input in pixels to an augmentation."""


def create(name: str, size: int) -> Augmentation:
    """An augmentation by its name, for frames that become ``size`` x ``size`` pixels.

    Raises:
        UserError: If there is none of that name; the nearest is suggested.
    """
    return look_up(AUGMENTATIONS, name, "augmentation")(size)


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random generator of a frame, by its position in the cache, in an epoch of a run."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, index))))
