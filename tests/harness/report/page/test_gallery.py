from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.report.page.gallery import choose_frames, divergences
from metrics.masks.class_indices import write_mask


def test_the_worst_the_best_and_the_most_disagreed_upon_are_shown() -> None:
    frames = [f"f{n}" for n in range(10)]
    f1 = {frame: n / 10 for n, frame in enumerate(frames)}
    best = {frame: -value for frame, value in f1.items()}
    agreed = dict.fromkeys(frames, 1.0) | {"f5": 0.1, "f4": 0.2}
    assert choose_frames(frames, [f1, agreed, best], most=3) == ["f0", "f5", "f9"]
    assert choose_frames(frames, [f1, agreed, best], most=10) == frames


def test_disagreement_of_each_frame_from_the_files(tmp_path: Path) -> None:
    left, right = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    left[:, :2], right[:, 1:3] = True, True
    for name, mask in (("a", left), ("b", right)):
        write_mask(tmp_path / name / "C1/1.png", mask)
        write_mask(tmp_path / name / "C1/2.png", left)
    table = divergences(["C1/1", "C1/2"], [tmp_path / "a", tmp_path / "b"])
    # 4 of 12 pixels are common; 8 pixels have one vote of two, a variance of one quarter.
    assert table["disagreement"].tolist() == pytest.approx([2 / 3, 0])
    assert table["vote_variance"].tolist() == [0.125, 0]
