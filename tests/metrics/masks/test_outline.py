from __future__ import annotations

import re

import numpy as np
import pytest

from metrics.masks.outline import contour_path


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_the_outline_of_a_square_at_half_size() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    path = contour_path(mask, 0.5)
    assert path.startswith("M")
    assert path.endswith("Z")
    across, down = zip(*points(path), strict=True)
    edges = [min(across), max(across), min(down), max(down)]
    assert edges == pytest.approx([15, 25, 5, 10], abs=0.3)
    assert len(points(path)) <= 5


def test_a_single_pixel_has_an_outline_in_its_place() -> None:
    mask = np.zeros((40, 60), bool)
    mask[0, 59] = True
    across, down = zip(*points(contour_path(mask, 1.0)), strict=True)
    assert (min(across), max(across), min(down), max(down)) == (59, 60, 0, 1)


def test_holes_have_outlines_and_empty_masks_none() -> None:
    ring = np.zeros((40, 40), bool)
    ring[5:35, 5:35] = True
    ring[15:25, 15:25] = False
    assert contour_path(ring, 1.0).count("M") == 2
    assert contour_path(np.zeros((4, 4), bool), 1.0) == ""
