from __future__ import annotations

import numpy as np

from harness.evaluation.map_table import COPIED, map_row


def test_dice_at_one_half_is_of_the_map_whatever_the_mask() -> None:
    """With several classes, or a tuned threshold, the mask holds what lies below one half."""
    truth = np.array([[True, True, False]])
    below = np.array([[0.45, 0.40, 0.10]], np.float32)
    row = map_row(dict.fromkeys(COPIED, ""), below, truth)
    assert (row["dice_half"], row["iou_half"]) == (0, 0)
    row = map_row(dict.fromkeys(COPIED, ""), below + np.float32(0.1), truth)
    assert row["dice_half"] == 2 * 1 / (1 + 2)  # one of two pixels lies above one half
