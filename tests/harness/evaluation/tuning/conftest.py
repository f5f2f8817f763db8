"""Frames whose truth is drawn, and maps of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.evaluation.tuning.member_maps import Truths
from metrics.masks.classes import ONE

FRAMES, SIDE = 6, 32


@pytest.fixture
def masks() -> NDArray[np.bool_]:
    """Squares that wander from frame to frame."""
    drawn = np.zeros((FRAMES, SIDE, SIDE), bool)
    for at in range(FRAMES):
        drawn[at, 8:24, 4 + at : 20 + at] = True
    return drawn


@pytest.fixture
def truths(masks: NDArray[np.bool_]) -> Truths:
    """The frames' truth, each frame a sequence of its own."""
    rows = [
        {"frame": str(at), "dataset": "d", "centre": "", "sequence": "", "test_set": "",
         "class": "polyp", "chosen_class": "polyp"}
        for at in range(FRAMES)
    ]  # fmt: skip
    packed = [np.packbits(mask) for mask in masks]
    return Truths(rows=rows, masks=packed, sizes=[(SIDE, SIDE)] * FRAMES, classes=ONE)


@pytest.fixture
def maps_of(masks: NDArray[np.bool_]) -> Callable[..., dict[str, NDArray[np.float32]]]:
    """Maps that are the one value on the truth and the other outside, by member."""

    def made(**values: tuple[float, float]) -> dict[str, NDArray[np.float32]]:
        return {
            name: np.where(masks, inside, outside).astype(np.float32)[:, None]
            for name, (inside, outside) in values.items()
        }

    return made
