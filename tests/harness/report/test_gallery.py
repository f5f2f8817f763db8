from __future__ import annotations

import re

import numpy as np

from harness.report.gallery import contour_path, most_telling


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_the_outline_of_a_square_at_half_size() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    path = contour_path(mask, 0.5)
    assert path.startswith("M")
    assert path.endswith("Z")
    corners = {(15.2, 5.2), (24.8, 5.2), (24.8, 9.8), (15.2, 9.8)}
    assert {(round(x, 1), round(y, 1)) for x, y in points(path)} == corners


def test_holes_have_outlines_and_empty_masks_none() -> None:
    ring = np.zeros((40, 40), bool)
    ring[5:35, 5:35] = True
    ring[15:25, 15:25] = False
    assert contour_path(ring, 1.0).count("M") == 2
    assert contour_path(np.zeros((4, 4), bool), 1.0) == ""


def test_the_worst_the_best_and_the_most_disagreed_upon_are_shown() -> None:
    frames = [f"f{n}" for n in range(10)]
    f1 = {frame: n / 10 for n, frame in enumerate(frames)}
    disagreement = {"f5": 0.9, "f4": 0.8}
    assert most_telling(frames, f1, disagreement, most=3) == ["f0", "f5", "f9"]
    assert most_telling(frames, f1, disagreement, most=10) == frames
