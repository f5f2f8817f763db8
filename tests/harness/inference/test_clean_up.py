"""Specks, holes and the largest region."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from harness.export.container.inference import clean
from harness.inference.clean_up import CleanUp

# A ring of 8 pixels around a hole, a pair of pixels that touch at a corner, and a bay at the rim.
DRAWN = """
.........
.###....#
.#.#...#.
.###.....
.........
##.......
.#.......
##.......
"""


def mask(drawn: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in line] for line in drawn.split()])


@pytest.mark.parametrize(
    ("clean_up", "pixels", "hole"),
    [
        (CleanUp(), 15, False),
        (CleanUp(fill=True), 16, True),  # the bay at the rim is no hole
        (CleanUp(smallest=3 / 72), 13, False),  # the pair is one region of two pixels
        (CleanUp(smallest=6 / 72, fill=True), 9, True),
        (CleanUp(largest=True), 8, False),
        (CleanUp(smallest=9 / 72), 0, False),
    ],
)
def test_what_is_dropped_and_filled(clean_up: CleanUp, pixels: int, hole: bool) -> None:
    before = mask(DRAWN)
    after = clean_up(before)

    assert (int(after.sum()), bool(after[2, 2])) == (pixels, hole)
    assert np.array_equal(clean(before, asdict(clean_up)), after)  # the container's own
    assert CleanUp(**asdict(clean_up)) == clean_up


def test_an_empty_mask_stays_empty() -> None:
    empty = np.zeros((4, 5), bool)
    assert not CleanUp(smallest=0.1, fill=True, largest=True)(empty).any()
    assert not clean(empty, asdict(CleanUp(smallest=0.1, fill=True, largest=True))).any()
